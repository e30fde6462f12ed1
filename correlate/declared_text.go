package correlate

import (
	"fmt"
	"strings"
	"time"

	"github.com/netglance/netglance/correlate/policy"
	"github.com/netglance/netglance/internal/addresses"
)

// allowedBy says which entries of the policy declare the reach.
func (w writer) allowedBy(reach []Reach) {
	for _, r := range reach {
		for _, e := range r.Entries {
			if r.Declared == ByPolicy {
				w.add("policy_allows", "%s allows it%s", e.At, entryWords(e))
			}
		}
	}
}

func entryWords(e policy.Entry) string {
	var words []string
	if e.Reason != "" {
		words = append(words, e.Reason)
	}
	if e.Responsible != "" {
		words = append(words, "responsible: "+e.Responsible)
	}
	if !e.Until.IsZero() {
		words = append(words, "until "+e.Until.Format(time.DateOnly))
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}

// notAllowed says why the policy doesn't declare the reach that is open.
func (w writer) notAllowed(open []Reach) {
	t := w.in.intent
	if t == nil {
		return
	}
	holds, said := false, len(w.e.Reasons)
	for i, e := range t.Entries {
		if !e.For(w.e.Protocol, w.e.Port, max(w.e.Port, w.e.LastPort)) {
			continue
		}
		switch {
		case t.expired[i]:
			w.add("policy_expired", "%s allowed it until %s", e.At, e.Until.Format(time.DateOnly))
		case owned(e.Owner, w.e) == policy.Differs:
			w.add("policy_owner", "%s allows it for %s, who doesn't hold it, or not alone", e.At, ownerWords(e.Owner))
		default:
			holds = true
		}
	}
	if !holds && len(w.e.Reasons) == said {
		w.add("policy_missing", "the policy %s has no entry for %s", t.File, portsName(*w.e))
	}
	if !holds {
		return
	}
	for _, from := range w.beyond(open) {
		w.add("policy_beyond", "%s, beyond what the policy %s allows", from, t.File)
	}
}

// beyond are the sources outside of the policy, in words.
func (w writer) beyond(open []Reach) (out []string) {
	type way struct {
		iface  string
		family int
	}
	sets := map[way]addresses.Set{}
	var order []way
	for _, r := range open {
		at := way{r.Interface, r.Family}
		if len(r.Outside) == 0 {
			continue
		}
		if _, known := sets[at]; !known {
			order = append(order, at)
		}
		sets[at] = w.in.intent.space.Or(sets[at], r.outside)
	}
	for _, at := range order {
		out = append(out, fmt.Sprintf("%s reaches it by %s", familyText(w.in.intent.space.Text(sets[at], w.in.intent.filler, at.family), at.family), at.iface))
	}
	return out
}

func familyText(text string, family int) string {
	if strings.HasPrefix(text, "anywhere") {
		return strings.Replace(text, "anywhere", fmt.Sprintf("anywhere in IPv%d", family), 1)
	}
	return text
}

func ownerWords(o policy.Owner) string {
	var words []string
	for _, x := range []struct{ what, value string }{{"process", o.Process}, {"unit", o.Unit}, {"user", o.User}, {"container", o.Container}, {"image", o.Image}} {
		if x.value != "" {
			words = append(words, x.what+" "+x.value)
		}
	}
	return strings.Join(words, ", ")
}

// ownerUnseen says that the policy names an owner, and nobody could be seen.
func (w writer) ownerUnseen(open []Reach) {
	for _, r := range open {
		if r.ownerUnseen {
			w.add("policy_owner_unseen", "the policy %s allows it for some owner, and who holds it could not be seen", w.in.intent.File)
			w.remedy("read everything: sudo netglance firewall")
			return
		}
	}
}

// policyRemedies says how the policy would allow what is open.
func (w writer) policyRemedies(open []Reach) {
	if w.in.intent == nil {
		return
	}
	for _, r := range open {
		if len(r.Entries) > 0 {
			w.remedy(fmt.Sprintf("or, if it is meant, let more sources in by \"from\" at %s", r.Entries[0].At))
			return
		}
	}
	w.remedy(fmt.Sprintf("or, if it is meant, allow it in %s: - port: %s", w.in.intent.File, portsName(*w.e)))
}
