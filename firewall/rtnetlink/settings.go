package rtnetlink

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/netglance/netglance/gaps"
)

const (
	sysctlRoot = "/proc/sys/net/"
	// alwaysThere is a setting that every Linux has: if it is missing, the settings
	// weren't read (or recorded) at all.
	alwaysThere = "ipv4/ip_forward"
)

// globalSettings hold for the whole network namespace. Those of the bridge are
// there only while br_netfilter is loaded.
var globalSettings = []string{
	alwaysThere,
	"ipv4/fwmark_reflect",
	"ipv4/tcp_fwmark_accept",
	"ipv4/tcp_syncookies",
	"bridge/bridge-nf-call-iptables",
	"bridge/bridge-nf-call-ip6tables",
}

// A confSetting is a sysctl that every interface has, with its place in the
// list that the kernel sends with a link.
type confSetting struct {
	name  string
	index int
}

// IPV4_DEVCONF_* of include/uapi/linux/ip.h, less one.
var conf4Settings = []confSetting{
	{"forwarding", 0},
	{"send_redirects", 5},
	{"rp_filter", 7},
	{"accept_local", 22},
	{"src_valid_mark", 23},
	{"route_localnet", 25},
}

// DEVCONF_* of include/uapi/linux/ipv6.h.
var conf6Settings = []confSetting{
	{"forwarding", 0},
	{"disable_ipv6", 26},
	{"force_forwarding", 59}, // Linux 6.17
}

// settings fills values by their path below /proc/sys/net. A file that isn't
// there is no gap: the family, the interface or the module is off.
func (r *reader) settings(values map[string]string, links []link) {
	s := settingsReader{source: r.source, values: values}
	for _, name := range globalSettings {
		s.file(name)
	}
	s.files("ipv4/conf/all/", conf4Settings)
	s.files("ipv6/conf/all/", conf6Settings)
	for _, l := range links {
		if strings.Contains(l.Name, "/") || strings.Trim(l.Name, ".") == "" {
			continue // no interface is called so, and it is no part of a path
		}
		s.link(l)
	}
	if s.failed == 0 {
		return
	}
	r.gap(gaps.Gap{
		Source: strings.TrimSuffix(sysctlRoot, "/"),
		Reason: fmt.Sprintf("%d network settings could not be read, first %v", s.failed, s.err),
		Hint:   settingsHint(s.err),
		Err:    s.err,
	})
}

func settingsHint(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "/proc must be mounted; of a recorded host, record it again with this netglance"
	}
	return "run netglance as root"
}

type settingsReader struct {
	source Source
	values map[string]string
	failed int
	err    error // the first
}

// link takes an interface's settings from what came with the link: two dozen
// files less to open for each.
func (s *settingsReader) link(l link) {
	prefix4, prefix6 := "ipv4/conf/"+l.Name+"/", "ipv6/conf/"+l.Name+"/"
	if !l.hasConf {
		s.files(prefix4, conf4Settings)
		s.files(prefix6, conf6Settings)
		return
	}
	s.words(prefix4, conf4Settings, l.conf4)
	s.words(prefix6, conf6Settings, l.conf6)
}

func (s *settingsReader) words(prefix string, settings []confSetting, conf []int32) {
	for _, setting := range settings {
		if setting.index < len(conf) {
			s.values[prefix+setting.name] = strconv.Itoa(int(conf[setting.index]))
		}
	}
}

func (s *settingsReader) files(prefix string, settings []confSetting) {
	for _, setting := range settings {
		s.file(prefix + setting.name)
	}
}

func (s *settingsReader) file(name string) {
	content, err := s.source.ReadFile(sysctlRoot + name)
	switch {
	case err == nil:
		s.values[name] = strings.TrimSpace(string(content))
	case errors.Is(err, fs.ErrNotExist) && name != alwaysThere:
	default:
		s.failed++
		if s.err == nil {
			s.err = err
		}
	}
}
