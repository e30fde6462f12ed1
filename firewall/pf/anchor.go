package pf

import (
	"fmt"
	"strings"
)

// anchorRule reads: anchor "name" [in|out] [quick] [on if] … [{ rules }].
func (p *parser) anchorRule() error {
	d := p.newDraft()
	d.Action, d.IsAnchor = Pass, true
	if err := p.advance(); err != nil {
		return err
	}
	if p.tok.kind == quoted || p.tok.kind == word && !anchorWord(p.tok.text) {
		name, err := p.name()
		if err != nil {
			return err
		}
		d.Anchor = name
	}
	if err := p.head(d); err != nil {
		return err
	}
	if err := p.filterOptions(d); err != nil {
		return err
	}
	if d.State.Kind != StateDefault {
		return d.at.errorf("anchor rules can't keep state")
	}
	if !p.isSymbol("{") {
		if d.Anchor == "" {
			return d.at.errorf("an anchor needs a name, or rules in braces")
		}
		if err := checkAnchorName(d.Anchor); err != nil {
			return d.at.errorf("%v", err)
		}
		return p.expand(d)
	}
	if err := p.inline(d); err != nil {
		return err
	}
	return p.expand(d)
}

// anchorWord says that a word behind "anchor" is no name.
func anchorWord(s string) bool {
	switch s {
	case "in", "out", "quick", "log", "on", "inet", "inet6", "proto", "from", "to", "all", "label", "tag", "tagged", "user", "group",
		"flags", "probability", "rtable", "prio", "tos", "icmp-type", "icmp6-type", "received-on", "set", "fragment":
		return true
	}
	return false
}

// checkAnchorName is what pfctl wants of a path: parts of at most 63 characters,
// "*" only at the end.
func checkAnchorName(name string) error {
	trimmed := strings.TrimPrefix(name, "/")
	parts := strings.Split(trimmed, "/")
	if len(name) > 1023 || len(parts) > maxDepth {
		return fmt.Errorf("anchor name %.40q… is too long", name)
	}
	for i, part := range parts {
		switch {
		case len(part) > 63:
			return fmt.Errorf("anchor component %q too long (max 63 characters)", part)
		case part == "" && trimmed != "":
			return fmt.Errorf("anchor name %q has an empty component", name)
		case part == "*" && i < len(parts)-1:
			return fmt.Errorf("anchor name %q: only the last component can be *", name)
		}
	}
	return nil
}

// inline reads the rules in braces behind an anchor.
func (p *parser) inline(d *draft) error {
	name := d.Anchor
	if strings.Contains(name, "/") && p.listing {
		return p.listedBody(d)
	}
	if strings.Contains(name, "/") {
		return d.at.errorf("anchor names containing '/' cannot be used for inline anchors")
	}
	p.rules.inline++ // pfctl counts those with a name, too
	if name == "" {
		name = fmt.Sprintf("_%d", p.rules.inline)
	}
	if err := p.advance(); err != nil {
		return err
	}
	d.Body = p.anchor.child(name)
	return p.body(d, d.Body)
}

// listedBody reads what pfctl prints in braces behind a call by path: the rules of
// the anchor that is called, or behind a wildcard one anchor after the other.
func (p *parser) listedBody(d *draft) error {
	if err := p.advance(); err != nil {
		return err
	}
	name, wildcard := strings.CutSuffix(d.Anchor, "*")
	body, err := p.anchorAt(p.anchor, strings.TrimSuffix(name, "/"))
	if err != nil {
		return d.at.errorf("%v", err)
	}
	if !wildcard {
		*body = Anchor{Path: body.Path, Parent: body.Parent, Name: body.Name, Children: body.Children, Tables: body.Tables}
		return p.body(d, body)
	}
	own := *body
	err = p.body(d, body)
	body.Filter, body.NAT, body.RDR, body.Order = own.Filter, own.NAT, own.RDR, own.Order
	return err
}

// body reads rules up to the closing brace into an anchor.
func (p *parser) body(d *draft, body *Anchor) error {
	outer := p.anchor
	body.Defined = true
	p.anchor = body
	defer func() { p.anchor = outer }()
	err := p.nested(func() error {
		if p.tok.kind != newline {
			return p.unexpected()
		}
		for !p.isSymbol("}") {
			if p.tok.kind == endOfFile {
				return d.at.errorf("the anchor's closing brace is missing")
			}
			if err := p.statement(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.advance()
}

// anchorAt finds or makes the anchor of a path that starts at another.
func (p *parser) anchorAt(from *Anchor, name string) (*Anchor, error) {
	if err := checkAnchorName(name); err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, "/") {
		from = from.root()
		name = strings.TrimPrefix(name, "/")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			if from.Parent != nil {
				from = from.Parent
			}
			continue
		}
		from = from.child(part)
	}
	return from, nil
}

// A call is what an anchor rule leads to, in the order in which it is evaluated.
func (a *Anchor) called(r *Rule) []*Anchor {
	if r.Body != nil {
		return []*Anchor{r.Body}
	}
	name := r.Anchor
	at := a
	if strings.HasPrefix(name, "/") {
		at, name = a.root(), strings.TrimPrefix(name, "/")
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		switch part {
		case "*":
			if i == len(parts)-1 {
				return at.Children
			}
			return nil
		case "..":
			if at.Parent != nil {
				at = at.Parent
			}
		case "":
		default:
			next := at.find(part)
			if next == nil {
				return nil
			}
			at = next
		}
	}
	return []*Anchor{at}
}

func (a *Anchor) find(name string) *Anchor {
	for _, c := range a.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// resolveCalls notes the anchors and tables whose content the text doesn't hold:
// programs fill them at run time.
func (rs *Ruleset) resolveCalls() {
	if rs.Live {
		return
	}
	rs.Main.walk(func(a *Anchor) {
		for _, t := range a.Tables {
			if t.Persist && len(t.Entries) == 0 && t.Unread == "" {
				rs.filledLater("table <" + t.Name + ">")
			}
		}
		a.eachRule(func(r *Rule) {
			if r.IsAnchor && !a.cantBeKnown(r) && filledElsewhere(a, r) {
				rs.filledLater(fmt.Sprintf("anchor %q", r.Anchor))
			}
			for _, side := range []Address{r.Source.Address, r.Destination.Address} {
				if side.Kind == TableName && a.table(side.Name) == nil {
					rs.filledLater("table <" + side.Name + ">")
				}
			}
		})
	})
}

// filledElsewhere says that what an anchor rule calls isn't known from the text:
// it has a wildcard, or nothing in the text fills it.
func filledElsewhere(a *Anchor, r *Rule) bool {
	called := a.called(r)
	if r.Body != nil || len(called) > 0 && strings.HasSuffix(r.Anchor, "*") {
		return false
	}
	return len(called) == 0 || !called[0].Defined && !called[0].Unread
}

// walk calls f for an anchor and all below it.
func (a *Anchor) walk(f func(*Anchor)) {
	f(a)
	for _, c := range a.Children {
		c.walk(f)
	}
}
