package pf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// queueList are OpenBSD's queues, which are checked as pfctl does before it loads
// them. They share out bandwidth and decide nothing.
type queueList struct{ list []queue }

type queue struct {
	name, parent     string
	bandwidth        bool
	flows, isDefault bool
}

// use says that a rule puts packets into queues.
func (q *queueList) use(at token, d Dialect, names []string) error {
	if d != OpenBSD || len(q.list) == 0 {
		return nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(q.list, func(known queue) bool { return known.name == name }) {
			return at.errorf("queue %s is not defined", name)
		}
	}
	return nil
}

// check is what pfctl_load_queues wants.
func (q *queueList) check() error {
	if len(q.list) == 0 {
		return nil
	}
	defaults := false
	for i := range q.list {
		defaults = defaults || q.list[i].isDefault || q.list[i].flows && q.list[i].parent == ""
		leaf := !slices.ContainsFunc(q.list, func(other queue) bool { return other.parent == q.list[i].name })
		switch {
		case !leaf && q.list[i].isDefault:
			return fmt.Errorf("default queue %s is not a leaf queue", q.list[i].name)
		case !leaf && q.list[i].flows:
			return fmt.Errorf("flow queue %s is not a leaf queue", q.list[i].name)
		case q.list[i].parent != "" && !q.list[i].bandwidth:
			return fmt.Errorf("queue %s: no bandwidth was specified", q.list[i].name)
		}
	}
	if !defaults {
		return fmt.Errorf("no default queue specified")
	}
	return nil
}

// queueStatement reads OpenBSD's queue definitions; others' are kept as written.
func (p *parser) queueStatement() error {
	if p.options.Dialect != OpenBSD {
		return p.opaque("queue")
	}
	at := p.tok
	if err := p.advance(); err != nil {
		return err
	}
	name, err := p.text()
	if err != nil {
		return err
	}
	q := queue{name: name}
	words := map[string]string{}
	for p.tok.kind == word {
		if err := p.queueDetail(&q, words); err != nil {
			return err
		}
	}
	if !q.bandwidth && !q.flows {
		return at.errorf("no bandwidth or flow specification")
	}
	p.queues.list = append(p.queues.list, q)
	var parts []string
	for _, key := range []string{"parent", "on", "flows", "quantum", "bandwidth", "min", "max", "default", "qlimit"} {
		if words[key] != "" {
			parts = append(parts, words[key])
		}
	}
	p.rules.Statements = append(p.rules.Statements, Statement{"queue", "queue " + name + " " + strings.Join(parts, " ")})
	return nil
}

func (p *parser) queueDetail(q *queue, words map[string]string) error {
	at := p.tok
	keyword, err := p.text()
	if err != nil {
		return err
	}
	if keyword == "default" {
		q.isDefault, words["default"] = true, "default"
		return nil
	}
	if _, err := p.acceptSymbol(","); err != nil {
		return err
	}
	if keyword == "on" {
		names, err := p.texts()
		words["on"] = "on " + strings.Join(names, " ")
		return err
	}
	value, err := p.text()
	if err != nil {
		return err
	}
	switch keyword {
	case "parent":
		q.parent = value
	case "flows":
		q.flows = true
	case "quantum", "qlimit":
	case "bandwidth", "min", "max":
		q.bandwidth = true
		if value, err = bandwidth(at, value); err != nil {
			return err
		}
		if err := p.burst(&value); err != nil {
			return err
		}
	default:
		return at.errorf("unknown queue option %q", keyword)
	}
	words[keyword] = keyword + " " + value
	_, err = p.acceptSymbol(",")
	return err
}

// burst reads "burst 90M for 100ms" behind a bandwidth.
func (p *parser) burst(value *string) error {
	if ok, err := p.accept("burst"); err != nil || !ok {
		return err
	}
	at := p.tok
	text, err := p.text()
	if err != nil {
		return err
	}
	amount, err := bandwidth(at, text)
	if err != nil {
		return err
	}
	if ok, err := p.accept("for"); err != nil || !ok {
		return orUnexpected(p, err)
	}
	time, err := p.text()
	*value += " burst " + amount + " for " + time
	return err
}

// bandwidth prints "1Mb" and the like as "1M".
func bandwidth(at token, text string) (string, error) {
	digits := strings.TrimRight(text, "KMGb%")
	unit := strings.TrimSuffix(text[len(digits):], "b")
	if _, err := strconv.ParseFloat(digits, 64); err != nil || len(unit) > 1 {
		return "", at.errorf("invalid bandwidth %q", text)
	}
	return digits + unit, nil
}
