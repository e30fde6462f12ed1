package service

import (
	"bytes"
	"strings"
)

var rsyncProtocol = protocol{
	name:   "rsync",
	ports:  []uint16{873},
	greets: true,
	claims: func(b []byte) bool { return bytes.HasPrefix(b, []byte("@RSYNCD: ")) },
	talk:   talkRsync,
}

// talkRsync reads "@RSYNCD: 31.0 sha512 md5", and asks for the list of modules.
func talkRsync(c *conversation) (Service, bool) {
	line, err := c.line(greetingExpected)
	version, ok := strings.CutPrefix(line, "@RSYNCD: ")
	if err != nil || !ok {
		return Service{}, false
	}
	version, _, _ = strings.Cut(version, " ")
	s := Service{Name: "rsync", Info: "protocol " + version}
	list := c.ask([]byte(line+"\n#list\n"), func(b []byte) bool { return bytes.Contains(b, []byte("@RSYNCD: EXIT")) })
	var modules []string
	for entry := range strings.Lines(string(list)) {
		if name, _, found := strings.Cut(entry, "\t"); found {
			modules = append(modules, strings.TrimSpace(name))
		}
	}
	if len(modules) > 0 {
		s.Access = AccessOpen
		s.Info = join(s.Info, "modules: "+strings.Join(modules[:min(len(modules), 10)], ", "))
	}
	return s, true
}
