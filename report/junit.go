package report

import (
	"io"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/netglance/netglance/correlate"
)

// junitReport writes a test case for every port, assertion and unread source: a
// failure where somebody must act, an error where it could not be told.
func junitReport(w io.Writer, f Firewall) error {
	suites := junit.Testsuites{Name: "netglance"}
	host := Clean(f.Host.Name)
	ports := junit.Testsuite{Name: "ports", Hostname: host, Time: "0.000"}
	for i := range f.Ports {
		ports.AddTestcase(f.portCase(&f.Ports[i]))
	}
	suites.AddSuite(ports)
	if f.Judgement.Policy != "" {
		policy := junit.Testsuite{Name: "policy", Hostname: host, Time: "0.000", File: Clean(f.Judgement.Policy)}
		for _, a := range f.Judgement.Asserted {
			policy.AddTestcase(assertedCase(a))
		}
		for _, x := range f.Judgement.Findings {
			if x.Kind == correlate.KindExpired {
				policy.AddTestcase(junit.Testcase{Name: Clean(x.At.String()), Classname: "policy.expired", Failure: &junit.Result{Message: Message(x), Type: "expired"}})
			}
		}
		suites.AddSuite(policy)
	}
	read := junit.Testsuite{Name: "read", Hostname: host, Time: "0.000"}
	for _, g := range f.Host.sortedGaps() {
		read.AddTestcase(junit.Testcase{Name: Clean(g.Source), Classname: "read", Error: &junit.Result{Message: Clean(g.Reason), Type: "unread", Data: cdata(Clean(g.Hint))}})
	}
	if len(f.Host.Gaps) == 0 {
		read.AddTestcase(junit.Testcase{Name: "everything", Classname: "read"})
	}
	suites.AddSuite(read)
	return suites.WriteXML(w)
}

func (f Firewall) portCase(e *correlate.Exposure) junit.Testcase {
	name := portName(*e)
	if e.Service != "" {
		name += " " + e.Service
	}
	c := junit.Testcase{Name: name, Classname: "ports." + Clean(e.Namespace), Status: e.Label.String()}
	for _, x := range f.Judgement.Findings {
		if x.Port != e {
			continue
		}
		result := &junit.Result{Message: Message(x), Type: string(x.Kind), Data: cdata(findingDetails(x))}
		switch {
		case x.Kind == correlate.KindUnknown && x.Counts():
			c.Error = result
		case f.Judgement.fails(x):
			if c.Failure == nil {
				c.Failure = result
			}
		case !x.Counts() && c.Failure == nil && c.Error == nil:
			c.Skipped = &junit.Result{Message: "let pass: " + Message(x), Type: string(x.Kind)}
		}
	}
	if c.Failure != nil || c.Error != nil {
		c.Skipped = nil
	}
	return c
}

func assertedCase(a correlate.Asserted) junit.Testcase {
	c := junit.Testcase{Name: Clean(a.Text), Classname: "policy.assert"}
	result := &junit.Result{Message: Clean(a.At.String() + ": " + a.Why), Type: "assertion"}
	switch a.Outcome {
	case correlate.Fails:
		c.Failure = result
	case correlate.Undecided:
		c.Error = result
	}
	return c
}

// cdata is text that can't end a CDATA section, in characters that XML 1.0 has.
func cdata(s string) string { return strings.ReplaceAll(s, "]]>", "]] >") }
