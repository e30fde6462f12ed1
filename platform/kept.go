package platform

// A Keeper takes what a host answers of its rules and its network.
type Keeper interface {
	KeepNetlink(protocol int, request, reply []byte)
	KeepOption(family, level, option int, argument, value []byte)
	KeepSave(family int, text []byte)
}

// Keep is a host whose answers a keeper gets too. Refusals are not kept.
func Keep(host Host, keeper Keeper) Host { return kept{host, keeper} }

type kept struct {
	Host
	keeper Keeper
}

func (k kept) Netlink(protocol int, request []byte) ([]byte, error) {
	reply, err := k.Host.Netlink(protocol, request)
	if err == nil {
		k.keeper.KeepNetlink(protocol, request, reply)
	}
	return reply, err
}

func (k kept) Getsockopt(family, level, option int, argument []byte, size int) ([]byte, error) {
	value, err := k.Host.Getsockopt(family, level, option, argument, size)
	if err == nil {
		k.keeper.KeepOption(family, level, option, argument, value)
	}
	return value, err
}

func (k kept) IptablesSave(family int) ([]byte, error) {
	text, err := k.Host.IptablesSave(family)
	if err == nil {
		k.keeper.KeepSave(family, text)
	}
	return text, err
}
