package predict

import (
	"path"
	"strings"
)

// readMySQL reads my.cnf and what it includes, the groups that the server reads.
// Without bind-address it listens on [::], which serves IPv4 too.
func readMySQL(c *config) {
	m := &mysql{config: c, settings: map[string]string{"port": "3306", "bind-address": "*"}}
	for _, file := range []string{"/etc/my.cnf", "/etc/mysql/my.cnf"} {
		m.file(file)
	}
	if _, off := m.settings["skip-networking"]; off && m.settings["skip-networking"] != "0" && !strings.EqualFold(m.settings["skip-networking"], "off") {
		return
	}
	m.at("port", "bind-address")
	if c.name == "mysqld" && m.settings["mysqlx"] != "0" && !strings.EqualFold(m.settings["mysqlx"], "off") {
		if m.settings["mysqlx-port"] == "" {
			m.settings["mysqlx-port"] = "33060"
		}
		if m.settings["mysqlx-bind-address"] == "" {
			m.settings["mysqlx-bind-address"] = "*"
		}
		m.at("mysqlx-port", "mysqlx-bind-address")
	}
}

type mysql struct {
	*config
	settings map[string]string
}

func (m *mysql) file(name string) {
	text, ok := m.open(name)
	if !ok {
		return
	}
	ours := false
	for _, d := range directives(name, text, " \t=") {
		switch {
		case strings.HasPrefix(d.key, "["):
			ours = m.group(strings.Trim(d.key, "[]"))
		case d.key == "!include":
			m.file(d.rest)
		case d.key == "!includedir":
			for _, included := range m.glob(path.Join(d.rest, "*.cnf")) {
				m.file(included)
			}
		case ours:
			value := ""
			if len(d.args) > 0 {
				value = d.args[0]
			}
			m.settings[strings.ReplaceAll(d.key, "_", "-")] = value
		}
	}
}

// group says that the server reads it ("mysqld --help": Default options).
func (m *mysql) group(name string) bool {
	switch {
	case name == "mysqld" || name == "server" || strings.HasPrefix(name, "mysqld-"):
		return true
	case m.name == "mariadbd":
		return strings.HasPrefix(name, "mariadb") && name != "mariadb-client" && name != "mariadb-dump" || name == "client-server"
	}
	return false
}

func (m *mysql) at(portKey, addressKey string) {
	file := "/etc/mysql/my.cnf"
	port, ok := portNumber(m.settings[portKey])
	if !ok {
		m.gap(file, "%s %q", portKey, m.settings[portKey])
		return
	}
	for _, word := range strings.Split(m.settings[addressKey], ",") {
		switch word = strings.TrimSpace(word); word {
		case "*", "":
			m.listen("tcp", any6, port, true)
			continue
		case "::":
			m.listen("tcp", any6, port, true)
			continue
		case "localhost":
			m.gap(file, "%s localhost is one address of two", addressKey)
		}
		all, known := addresses(word)
		if !known {
			m.gap(file, "%s %q is a name", addressKey, word)
			continue
		}
		for _, a := range all {
			m.listen("tcp", a, port, false)
		}
	}
}
