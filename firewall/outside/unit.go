package outside

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// unitDirectories are where systemd looks for units, the one that counts most
// first (systemd.unit(5)).
var unitDirectories = []string{
	"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
	"/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached", "/run/systemd/generator",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/generator.late",
}

// filterSettings are the settings of a unit for which systemd attaches programs,
// by the beginning of those programs' names (systemd.resource-control(5)).
var filterSettings = map[string][]string{
	"sd_fw_":        {"IPAddressDeny", "IPAddressAllow"},
	"sd_restrictif": {"RestrictNetworkInterfaces"},
}

// cgroupText names a program of a cgroup; one that systemd attached by the
// settings that it comes from, where the unit's files tell them.
func cgroupText(source Source, cgroup, direction string, p program) string {
	where := fmt.Sprintf("BPF program %s of cgroup %s (%s)", p.name, cgroup, direction)
	unit := path.Base(cgroup)
	if !strings.Contains(unit, ".") {
		return where
	}
	for prefix, names := range filterSettings {
		if !strings.HasPrefix(p.plain, prefix) {
			continue
		}
		settings := unitSettings(source, unit)
		var told []string
		for _, name := range names {
			if list := settings[name]; len(list) > 0 {
				told = append(told, name+"="+strings.Join(list, " "))
			}
		}
		if len(told) > 0 {
			return fmt.Sprintf("systemd %s of %s (%s)", strings.Join(told, " "), unit, direction)
		}
	}
	return where
}

// unitSettings are the filter settings of a unit with its drop-ins, in the order
// in which systemd reads them: an empty assignment clears the list.
func unitSettings(source Source, unit string) map[string][]string {
	settings := map[string][]string{}
	for _, name := range unitNames(unit) {
		if text := firstFile(source, name); text != nil {
			readSettings(text, settings)
			break
		}
	}
	for _, file := range dropIns(source, unit) {
		if text, err := source.ReadFile(file); err == nil {
			readSettings(text, settings)
		}
	}
	return settings
}

// unitNames are the unit's name, and its template's.
func unitNames(unit string) []string {
	base, instance, isInstance := strings.Cut(unit, "@")
	if dot := strings.LastIndexByte(instance, '.'); isInstance && dot > 0 {
		return []string{unit, base + "@" + instance[dot:]}
	}
	return []string{unit}
}

func firstFile(source Source, name string) []byte {
	for _, dir := range unitDirectories {
		if text, err := source.ReadFile(dir + "/" + name); err == nil {
			return text
		}
	}
	return nil
}

// dropIns are the *.conf files of the directories NAME.d, by their names. Of two
// with one name, the one in the directory that counts more stands.
func dropIns(source Source, unit string) []string {
	found := map[string]string{}
	var order []string
	for _, dir := range unitDirectories {
		for _, name := range dropInDirectories(unit) {
			files, _ := source.ReadDir(dir + "/" + name)
			for _, file := range files {
				if _, known := found[file]; strings.HasSuffix(file, ".conf") && !known {
					found[file] = dir + "/" + name + "/" + file
					order = append(order, file)
				}
			}
		}
	}
	slices.Sort(order)
	for i, file := range order {
		order[i] = found[file]
	}
	return order
}

// dropInDirectories are the unit's, its template's, those of its name's parts
// ("foo-bar-.service.d", "foo-.service.d") and its type's.
func dropInDirectories(unit string) []string {
	var out []string
	for _, name := range unitNames(unit) {
		out = append(out, name+".d")
	}
	dot := strings.LastIndexByte(unit, '.')
	for base := unit[:dot]; ; {
		dash := strings.LastIndexByte(strings.TrimSuffix(base, "-"), '-')
		if dash < 0 {
			break
		}
		base = base[:dash+1]
		out = append(out, base+unit[dot:]+".d")
	}
	return append(out, strings.TrimPrefix(unit[dot:], ".")+".d")
}

func readSettings(text []byte, settings map[string][]string) {
	continued := strings.ReplaceAll(string(text), "\\\n", " ")
	for line := range strings.Lines(continued) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		name = strings.TrimSpace(name)
		if !ok || !isFilterSetting(name) {
			continue
		}
		if value = strings.TrimSpace(value); value == "" {
			settings[name] = nil
			continue
		}
		settings[name] = append(settings[name], strings.Fields(value)...)
	}
}

func isFilterSetting(name string) bool {
	for _, names := range filterSettings {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}
