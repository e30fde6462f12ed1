package listeners

import (
	"bytes"
	"strconv"
)

// readUsers reads /etc/passwd. Users of a directory service (LDAP, systemd's
// dynamic users) are not in it and stay numbers, as do those of user namespaces.
func readUsers(host Host) map[uint32]string {
	text, err := host.ReadFile("/etc/passwd")
	if err != nil {
		return nil
	}
	return parsePasswd(text)
}

// parsePasswd maps numbers to names (passwd(5)); the first name of a number counts.
func parsePasswd(text []byte) map[uint32]string {
	users := make(map[uint32]string)
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		name, rest, _ := bytes.Cut(line, []byte{':'})
		_, rest, _ = bytes.Cut(rest, []byte{':'})
		number, _, more := bytes.Cut(rest, []byte{':'})
		uid, err := strconv.ParseUint(string(number), 10, 32)
		if !more || err != nil || len(name) == 0 || name[0] == '#' {
			continue
		}
		if _, known := users[uint32(uid)]; !known {
			users[uint32(uid)] = string(name)
		}
	}
	return users
}
