// Compose makes the recordings of hosts that nobody could record: it takes what the
// kernel and the programs of such a host tell from a text beside it.
//
//	go run ./testdata/hosts/compose testdata/hosts/mac-1.txtar
//
// writes testdata/hosts/mac-1.ng. The sections of the text are named after the calls of
// platform.Host that they answer: "sysctl NODE", "output COMMAND", "file NAME". The
// section "host" has the system and the time. A line of "sockets" is a socket:
//
//	PROTOCOL FAMILY LOCAL REMOTE|- OPTION,…|- UID PID:UID:NAME …
//
// with the options listen, v6only, anonymous and bindany. Its records are made by
// internal/bsdrecords.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/netglance/netglance/internal/bsdrecords"
	"github.com/netglance/netglance/platform"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := compose(name); err != nil {
			fmt.Fprintln(os.Stderr, "compose:", err)
			os.Exit(1)
		}
	}
}

func compose(name string) error {
	text, err := txtar.ParseFile(name)
	if err != nil {
		return err
	}
	h := &host{answers: map[string][]byte{}}
	for _, section := range text.Files {
		if err := h.add(section.Name, section.Data); err != nil {
			return fmt.Errorf("%s: %s: %w", name, section.Name, err)
		}
	}
	recorder := platform.NewRecorder(h, "compose")
	for key := range h.answers {
		kind, rest, _ := strings.Cut(key, " ")
		switch kind {
		case "sysctl":
			_, err = recorder.Sysctl(rest)
		case "output":
			_, err = recorder.Output(strings.Fields(rest)...)
		case "file":
			_, err = recorder.ReadFile(rest)
		case "holders":
			_, err = recorder.SocketHolders()
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, key, err)
		}
	}
	return recorder.Recording().Save(strings.TrimSuffix(name, ".txtar") + ".ng")
}

// A host answers what the text says.
type host struct {
	platform.Host // nil: nothing else is asked
	os            string
	time          time.Time
	answers       map[string][]byte
}

func (h *host) OS() string      { return h.os }
func (h *host) Time() time.Time { return h.time }

func (h *host) answer(key string) ([]byte, error) {
	if content, ok := h.answers[key]; ok {
		return content, nil
	}
	return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
}

func (h *host) Sysctl(name string) ([]byte, error)   { return h.answer("sysctl " + name) }
func (h *host) SocketHolders() ([]byte, error)       { return h.answer("holders") }
func (h *host) ReadFile(name string) ([]byte, error) { return h.answer("file " + name) }
func (h *host) Output(command ...string) ([]byte, error) {
	return h.answer("output " + strings.Join(command, " "))
}

func (h *host) add(name string, content []byte) error {
	words := strings.Fields(name)
	switch words[0] {
	case "host":
		fields := strings.Fields(string(content))
		if len(fields) != 2 {
			return errors.New("a system and a time are expected")
		}
		var err error
		h.os = fields[0]
		h.time, err = time.Parse(time.RFC3339, fields[1])
		return err
	case "sysctl":
		h.answers[name] = nodeValue(strings.TrimSpace(string(content)))
	case "output", "file":
		h.answers[name] = content
	case "sockets":
		sockets, err := parseSockets(string(content))
		h.addSockets(sockets)
		return err
	default:
		return errors.New("no such section")
	}
	return nil
}

// nodeValue is an int for a number, else a string with the zero byte at its end.
func nodeValue(text string) []byte {
	if number, err := strconv.ParseInt(text, 10, 32); err == nil {
		return binary.NativeEndian.AppendUint32(nil, uint32(number))
	}
	return append([]byte(text), 0)
}

func (h *host) addSockets(sockets []bsdrecords.Socket) {
	for _, protocol := range []string{"tcp", "udp"} {
		switch h.os {
		case "darwin":
			h.answers["sysctl net.inet."+protocol+".pcblist_n"] = bsdrecords.PCBListN(protocol, sockets)
			h.answers["holders"] = []byte(bsdrecords.HolderLines(sockets))
		case "freebsd":
			h.answers["sysctl net.inet."+protocol+".pcblist"] = bsdrecords.PCBList(protocol, sockets)
			h.answers["sysctl kern.file"] = bsdrecords.Xfiles(sockets)
		case "openbsd":
			h.answers["sysctl kern.file"] = bsdrecords.KinfoFiles(sockets)
		}
	}
}

func parseSockets(text string) (all []bsdrecords.Socket, err error) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		s, err := parseSocket(words)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		s.Handle = 0xfffff80000000000 + uint64(len(all)+1)*0x1000
		all = append(all, s)
	}
	return all, nil
}

func parseSocket(words []string) (s bsdrecords.Socket, err error) {
	if len(words) < 6 {
		return s, errors.New("six words are expected")
	}
	s.Protocol = words[0]
	if s.Family, err = strconv.Atoi(words[1]); err != nil {
		return s, err
	}
	if s.Local, err = netip.ParseAddrPort(words[2]); err != nil {
		return s, err
	}
	if words[3] != "-" {
		if s.Remote, err = netip.ParseAddrPort(words[3]); err != nil {
			return s, err
		}
	}
	options := strings.Split(words[4], ",")
	s.Listening, s.V6Only = slices.Contains(options, "listen"), slices.Contains(options, "v6only")
	s.Anonymous, s.BindAny = slices.Contains(options, "anonymous"), slices.Contains(options, "bindany")
	uid, err := strconv.ParseUint(words[5], 10, 32)
	if err != nil {
		return s, err
	}
	s.UID = uint32(uid)
	for _, word := range words[6:] {
		h := bsdrecords.Holder{FD: 3}
		if _, err := fmt.Sscanf(strings.ReplaceAll(word, ":", " "), "%d %d %s", &h.PID, &h.UID, &h.Name); err != nil {
			return s, err
		}
		s.Holders = append(s.Holders, h)
	}
	return s, nil
}
