package predict

import (
	"net/netip"
	"path"
	"slices"
	"strings"
)

// readApache reads Apache's "Listen" (mpm_common): a bare port is [::], which
// serves IPv4 too, as the package is built by distributions.
func readApache(c *config) {
	for _, start := range []struct{ file, root string }{
		{"/etc/apache2/apache2.conf", "/etc/apache2"}, {"/etc/httpd/conf/httpd.conf", "/etc/httpd"}, {"/usr/local/apache2/conf/httpd.conf", "/usr/local/apache2"},
	} {
		if c.host.Exists(start.file) {
			a := &apache{config: c, root: start.root, modules: map[string]bool{}}
			for _, name := range c.glob("/etc/apache2/mods-enabled/*.load") {
				a.modules[strings.TrimSuffix(path.Base(name), ".load")+"_module"] = true
			}
			a.file(start.file)
			return
		}
	}
	c.gap("/etc/apache2/apache2.conf", "no configuration was found")
}

type apache struct {
	*config
	root    string
	modules map[string]bool
	// sections are those around a line.
	sections []condition
}

// A condition is what a section asks: whether it holds, and whether that is sure.
type condition struct {
	holds, sure bool
	text        string
}

func (a *apache) file(name string) {
	text, ok := a.open(name)
	if !ok {
		return
	}
	for _, d := range directives(name, strings.ReplaceAll(text, "\\\n", " "), " \t") {
		switch {
		case strings.HasPrefix(d.key, "</"):
			if section(d.key[2:]) {
				a.sections = a.sections[:max(0, len(a.sections)-1)]
			}
		case strings.HasPrefix(d.key, "<") && section(d.key[1:]):
			a.sections = append(a.sections, a.condition(d))
		case a.skipping() || len(d.args) == 0:
		case d.key == "loadmodule":
			a.modules[d.args[0]] = true
		case d.key == "serverroot":
			a.root = d.args[0]
		case d.key == "include" || d.key == "includeoptional":
			a.include(d.args[0])
		case d.key == "listen":
			a.listenAt(d)
		}
	}
}

// section says that the condition can take a Listen away.
func section(name string) bool {
	name = strings.TrimSuffix(name, ">")
	return name == "ifmodule" || name == "ifdefine" || name == "ifversion" || name == "iffile"
}

// condition decides <IfModule>; what else is asked is taken to hold.
func (a *apache) condition(d directive) condition {
	if d.key != "<ifmodule" || len(d.args) == 0 {
		return condition{holds: true, sure: d.key == "<ifversion", text: d.key + " " + d.rest}
	}
	name, negated := strings.CutPrefix(strings.TrimSuffix(d.args[0], ">"), "!")
	if short, ok := strings.CutSuffix(name, ".c"); ok {
		name = strings.TrimPrefix(short, "mod_") + "_module"
	}
	return condition{holds: a.modules[name] != negated, sure: true}
}

func (a *apache) skipping() bool {
	return slices.ContainsFunc(a.sections, func(c condition) bool { return !c.holds })
}

func (a *apache) include(pattern string) {
	if !path.IsAbs(pattern) {
		pattern = path.Join(a.root, pattern)
	}
	for _, name := range a.glob(pattern) {
		a.file(name)
	}
}

func (a *apache) listenAt(d directive) {
	for _, c := range a.sections {
		if !c.sure {
			a.gap(d.file, "%s is taken to hold around Listen %s", c.text, d.rest)
		}
	}
	where := d.args[0]
	if port, ok := portNumber(where); ok {
		a.listen("tcp", any6, port, true)
		return
	}
	at, err := netip.ParseAddrPort(strings.Replace(where, "*:", "0.0.0.0:", 1))
	if err != nil {
		a.gap(d.file, "Listen %s", where)
		return
	}
	a.listen("tcp", at.Addr(), at.Port(), false)
}
