package outside

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"syscall"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Messages and attributes of IPsec (include/uapi/linux/xfrm.h).
const (
	protocolXfrm = 6

	newPolicy, getPolicy = 19, 21
	getDefault           = 40

	policyLength   = 168 // struct xfrm_userpolicy_info
	templateLength = 64  // struct xfrm_user_tmpl

	attrTemplates   = 5
	attrMark        = 21
	attrInterfaceID = 31

	defaultBlock = 1 // XFRM_USERPOLICY_BLOCK
)

// readPolicies reads IPsec's policies. A socket for them is opened only where the
// kernel has one: else it would load xfrm_user.
func readPolicies(source Source, n *firewall.Network) (f finding) {
	there, err := hasXfrm(source)
	if err != nil {
		return unreadable("IPsec policies", err)
	}
	if !there {
		if _, err := source.ReadFile("/proc/net/pfkey"); err == nil {
			return unreadable("IPsec policies", errors.New("they are set through PF_KEY, and xfrm_user is not loaded"))
		}
		return f
	}
	err = dump(source, protocolXfrm, netlink.Request(getPolicy, netlink.FlagDump, make([]byte, 64)), newPolicy, func(data []byte) error {
		p, ok, err := decodePolicy(data)
		if ok {
			f.policies = append(f.policies, p)
		}
		return err
	})
	if errors.Is(err, syscall.EPROTONOSUPPORT) {
		return f
	}
	if err == nil {
		err = f.readDefaults(source)
	}
	if err != nil {
		return unreadable("IPsec policies", err)
	}
	if len(f.policies) > 0 {
		f.settings = readExemptions(source, n)
	}
	return f
}

// hasXfrm says that a socket of NETLINK_XFRM can be opened without that the kernel
// looks for the module xfrm_user: it has no modules, or this one is there already.
// The list of all netlink sockets tells it for sure; it is long on a host with
// many namespaces, and the last that is asked.
func hasXfrm(source Source) (bool, error) {
	if !exists(source, "/proc/modules") || exists(source, "/sys/module/xfrm_user") {
		return true, nil
	}
	if release, err := source.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		builtin, err := source.ReadFile("/lib/modules/" + strings.TrimSpace(string(release)) + "/modules.builtin")
		if err == nil {
			return strings.Contains(string(builtin), "/xfrm_user.ko"), nil
		}
	}
	sockets, err := source.ReadFile("/proc/net/netlink")
	return kernelAnswers(string(sockets), protocolXfrm), err
}

// exists asks without opening: readlink(2) tells a file that is no link (EINVAL)
// from none.
func exists(source Source, name string) bool {
	_, err := source.Readlink(name)
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}

// kernelAnswers says that /proc/net/netlink lists a socket of the kernel's own:
// protocol in the second column, port 0 in the third.
func kernelAnswers(sockets string, protocol int) bool {
	for line := range strings.Lines(sockets) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[1] == fmt.Sprint(protocol) && fields[2] == "0" {
			return true
		}
	}
	return false
}

// readDefaults adds a policy for each direction in which packets without a policy
// are dropped ("ip xfrm policy setdefault", Linux 5.15).
func (f *finding) readDefaults(source Source) error {
	err := dump(source, protocolXfrm, netlink.Request(getDefault, 0, make([]byte, 4)), getDefault, func(data []byte) error {
		if len(data) < 3 {
			return fmt.Errorf("default policies: %w: %d bytes", netlink.ErrTruncated, len(data))
		}
		// struct xfrm_userpolicy_default: in, fwd, out
		for i, to := range []firewall.Direction{firewall.DirectionIn, firewall.DirectionForward, firewall.DirectionOut} {
			if data[i] == defaultBlock {
				f.policies = append(f.policies, firewall.IPsecPolicy{Direction: to, Priority: 1<<32 - 1, Blocks: true,
					Text: "IPsec's default policy for " + directionName(to) + ": block"})
			}
		}
		return nil
	})
	if errors.Is(err, syscall.EINVAL) {
		return nil // before 5.15
	}
	return err
}

func directionName(d firewall.Direction) string {
	return [...]string{"in", "out", "fwd"}[d%3]
}

// decodePolicy decodes struct xfrm_userpolicy_info: selector 56 (destination 16,
// source 16, ports and masks 2 each, family 2, prefix lengths 1 each, protocol 1,
// pad 3, link 4, user 4), lifetimes 96, priority 4, index 4, direction 1, action 1.
// Policies of single sockets have other directions, and are left out.
func decodePolicy(data []byte) (p firewall.IPsecPolicy, ok bool, err error) {
	if len(data) < policyLength {
		return p, false, fmt.Errorf("policy: %w: %d bytes", netlink.ErrTruncated, len(data))
	}
	if data[160] > byte(firewall.DirectionForward) {
		return p, false, nil
	}
	p.Direction = firewall.Direction(data[160])
	p.Blocks = data[161] == 1 // XFRM_POLICY_BLOCK
	p.Priority = binary.NativeEndian.Uint32(data[152:])
	p.Protocol = data[44]
	p.Port, p.PortMask = number16(data[32:]), number16(data[34:])
	p.SourcePort, p.SourcePortMask = number16(data[36:]), number16(data[38:])
	p.OwnInterface = binary.NativeEndian.Uint32(data[48:]) != 0
	length := 4
	switch binary.NativeEndian.Uint16(data[40:]) {
	case 2:
		p.Family = firewall.FamilyIPv4
	case 10:
		p.Family, length = firewall.FamilyIPv6, 16
	}
	if p.Family != firewall.FamilyUnspecified {
		to, _ := netip.AddrFromSlice(data[:length])
		from, _ := netip.AddrFromSlice(data[16 : 16+length])
		p.Destination, p.Source = netip.PrefixFrom(to, int(data[42])), netip.PrefixFrom(from, int(data[43]))
		if !p.Destination.IsValid() || !p.Source.IsValid() {
			return p, false, fmt.Errorf("policy: prefix lengths %d and %d", data[42], data[43])
		}
	}
	err = decodePolicyAttributes(data[policyLength:], &p)
	p.Text = policyText(p)
	return p, err == nil, err
}

func decodePolicyAttributes(data []byte, p *firewall.IPsecPolicy) error {
	a := netlink.NewAttributes(data)
	for a.Next() {
		switch a.Type() {
		case attrTemplates:
			// optional is a byte behind id 24, family 4, source 16, request 4, mode 1, share 1
			for list := a.Data(); len(list) >= templateLength; list = list[templateLength:] {
				p.Requires = p.Requires || list[50] == 0
			}
		case attrMark:
			if d := a.Data(); len(d) >= 8 {
				p.Mark, p.MarkMask = binary.NativeEndian.Uint32(d), binary.NativeEndian.Uint32(d[4:])
			}
		case attrInterfaceID:
			p.OwnInterface = p.OwnInterface || a.Uint32() != 0
		}
	}
	return a.Err()
}

// policyText names the policy as "ip xfrm policy" does.
func policyText(p firewall.IPsecPolicy) string {
	text := "IPsec policy"
	if p.Source.IsValid() {
		text += fmt.Sprintf(" src %s dst %s", p.Source, p.Destination)
	}
	if p.Protocol != 0 {
		text += fmt.Sprintf(" proto %d", p.Protocol)
	}
	if p.SourcePortMask != 0 {
		text += fmt.Sprintf(" sport %d", p.SourcePort)
	}
	if p.PortMask != 0 {
		text += fmt.Sprintf(" dport %d", p.Port)
	}
	text += " dir " + directionName(p.Direction)
	if p.Blocks {
		text += " action block"
	}
	return text
}

// readExemptions reads which links have no policies.
func readExemptions(source Source, n *firewall.Network) map[string]string {
	settings := map[string]string{}
	names := []string{"all"}
	for _, link := range n.Interfaces {
		names = append(names, link.Name)
	}
	for _, name := range names {
		if strings.Contains(name, "/") || strings.Trim(name, ".") == "" {
			continue
		}
		for _, setting := range []string{"ipv4/conf/" + name + "/disable_policy", "ipv4/conf/" + name + "/disable_xfrm", "ipv6/conf/" + name + "/disable_policy"} {
			if value, err := source.ReadFile("/proc/sys/net/" + setting); err == nil {
				settings[setting] = strings.TrimSpace(string(value))
			} else if !errors.Is(err, fs.ErrNotExist) {
				settings[setting] = "0"
			}
		}
	}
	return settings
}
