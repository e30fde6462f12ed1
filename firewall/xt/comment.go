package xt

import "github.com/netglance/netglance/firewall"

// comment is xt_comment_info (xt_comment.h): 256 bytes. It matches always.
type comment string

func decodeComment(_ uint8, f *fields) extension { return comment(f.name(256)) }

func (c comment) steps(Decoder) []firewall.Step { return nil }
func (c comment) String() string                { return "--comment " + quote(string(c)) }

func parseComment(g *given) extension {
	var c comment
	for _, o := range g.list {
		c = comment(cut(o.first(), 255))
	}
	return c
}
