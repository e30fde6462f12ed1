package service

import (
	"bytes"
	"strings"
)

var sshProtocol = protocol{
	name:   "ssh",
	ports:  []uint16{22, 2022, 2200, 2222, 22222, 830},
	greets: true,
	claims: func(b []byte) bool { return bytes.HasPrefix(b, []byte("SSH-")) },
	talk:   talkSSH,
}

// maxLinesBefore is how many lines a server may send before its version (RFC 4253, 4.2).
const maxLinesBefore = 20

func talkSSH(c *conversation) (Service, bool) {
	for range maxLinesBefore {
		line, err := c.line(greetingExpected)
		if err != nil {
			return Service{}, false
		}
		if rest, ok := strings.CutPrefix(line, "SSH-"); ok {
			s, ok := sshService(rest)
			s.Banner = line
			return s, ok
		}
	}
	return Service{}, false
}

// sshService reads "2.0-OpenSSH_9.2p1 Debian-2+deb12u3": protocol, software, comment.
func sshService(words string) (Service, bool) {
	version, software, ok := strings.Cut(words, "-")
	if !ok {
		return Service{}, false
	}
	software, comment, _ := strings.Cut(software, " ")
	product, number, _ := strings.Cut(software, "_")
	if product == "dropbear" {
		product = "Dropbear"
	}
	s := Service{Name: "ssh", Product: product, Version: number, Info: join(comment, "protocol "+version)}
	if strings.HasPrefix(version, "1.") { // 1.99 speaks both (RFC 4253, 5.1)
		s.Obsolete = []string{"SSH 1"}
	}
	return s, true
}
