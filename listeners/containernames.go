package listeners

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// ShortName is the container's name, or the beginning of its id, as its runtime
// prints it.
func (c Container) ShortName() string {
	if c.Name != "" {
		return c.Name
	}
	if isHex(c.ID) {
		return c.ID[:min(len(c.ID), 12)]
	}
	return c.ID
}

// A namingHost is asked for the names of containers.
type namingHost interface {
	fileHost
	Containers() ([]byte, error)
}

// nameContainers names the containers that processes run in. Cgroups have only
// their ids: Docker's API knows the names, where it may be asked, and a monitor
// like conmon has its container's name on its command line.
func nameContainers(host namingHost, all func(yield func(c *Container, pid int) bool)) {
	var docker map[string]string
	asked := false
	for c, pid := range all {
		switch {
		case !isID(c.ID) || c.Name != "":
		case c.Runtime == "docker":
			if !asked {
				docker, asked = dockerNames(host), true
			}
			c.Name = docker[c.ID]
		case c.Runtime == "podman":
			c.Name = monitorsName(host, pid, c.ID)
		}
	}
}

// dockerNames are the names by the full ids. Names are no gap: the id is there.
func dockerNames(host namingHost) map[string]string {
	text, err := host.Containers()
	if err != nil {
		return nil
	}
	return parseContainers(text)
}

// parseContainers reads the answer to GET /containers/json (Docker Engine API
// v1.24 and later). Of a container's names, one with two slashes is a link's.
func parseContainers(text []byte) map[string]string {
	var list []struct {
		ID    string `json:"Id"`
		Names []string
	}
	if json.Unmarshal(text, &list) != nil {
		return nil
	}
	names := make(map[string]string, len(list))
	for _, c := range list {
		for _, name := range c.Names {
			if bare, ok := strings.CutPrefix(name, "/"); ok && !strings.Contains(bare, "/") && names[c.ID] == "" {
				names[c.ID] = bare
			}
		}
	}
	return names
}

// maxAncestors is how far above a process its container's monitor is looked for.
const maxAncestors = 4

// monitorsName is the name that conmon, an ancestor of the container's processes,
// was given with the container's id (conmon(8)); empty if none is found.
func monitorsName(host fileHost, pid int, id string) string {
	for range maxAncestors {
		pid = parentOf(host, pid)
		if pid <= 1 {
			return ""
		}
		text, err := host.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err != nil {
			return ""
		}
		if p := proxyOf(Process{Command: parseCommandLine(text)}); p.Kind == "conmon" && p.Container.ID == id {
			return p.Container.Name
		}
	}
	return ""
}

// parentOf is the process that started another; 0 if it can't be told.
func parentOf(host fileHost, pid int) int {
	text, err := host.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// After the name, which may have any character, stand the state and the parent
	// (proc_pid_stat(5)).
	var fields [2][]byte
	if !splitFields(text[bytes.LastIndexByte(text, ')')+1:], fields[:]) {
		return 0
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return parent
}
