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
	var docker map[string]dockerContainer
	asked := false
	for c, pid := range all {
		switch {
		case !isID(c.ID) || c.Name != "":
		case c.Runtime == "docker":
			if !asked {
				docker, asked = dockerNames(host), true
			}
			c.Name, c.Image = docker[c.ID].name, docker[c.ID].image
		case c.Runtime == "podman":
			c.Name = monitorsName(host, pid, c.ID)
		}
	}
}

// A dockerContainer is what Docker tells of a container beside its id.
type dockerContainer struct{ name, image string }

// dockerNames are the names and images by the full ids. Names are no gap: the id is there.
func dockerNames(host namingHost) map[string]dockerContainer {
	text, err := host.Containers()
	if err != nil {
		return nil
	}
	return parseContainers(text)
}

// parseContainers reads the answer to GET /containers/json (Docker Engine API
// v1.24 and later). Of a container's names, one with two slashes is a link's.
func parseContainers(text []byte) map[string]dockerContainer {
	var list []struct {
		ID    string `json:"Id"`
		Names []string
		Image string
	}
	if json.Unmarshal(text, &list) != nil {
		return nil
	}
	all := make(map[string]dockerContainer, len(list))
	for _, c := range list {
		one := dockerContainer{image: c.Image}
		for _, name := range c.Names {
			if bare, ok := strings.CutPrefix(name, "/"); ok && !strings.Contains(bare, "/") && one.name == "" {
				one.name = bare
			}
		}
		all[c.ID] = one
	}
	return all
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
