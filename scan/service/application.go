package service

import (
	"encoding/json"
	"slices"
	"strings"
)

// An application speaks HTTP and is known by its front page, or asked at its usual
// ports. Every further request only reads.
type application struct {
	name  string
	ports []uint16
	// shows says that the front page is this application's.
	shows func(page) bool
	// tell makes a service of it. It may ask for further pages.
	tell func(*peer, page) (Service, bool)
}

// applications in the order in which they are asked.
var applications = []application{
	dockerApplication, kubernetesApplication, kubeletApplication, etcdApplication, elasticsearchApplication,
	couchDBApplication, prometheusApplication, headerApplication, printerApplication,
}

func (a application) ask(p *peer, front page) (Service, bool) {
	if !a.shows(front) && !slices.Contains(a.ports, p.port()) {
		return Service{}, false
	}
	s, ok := a.tell(p, front)
	s.Name = or(s.Name, a.name)
	return s, ok
}

func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// decode reads a page's JSON. It is false when it is none of that shape.
func decode[T any](g page) (T, bool) {
	var v T
	err := json.Unmarshal(g.body, &v)
	return v, err == nil
}

func never(page) bool { return false }

var dockerApplication = application{
	name:  "docker",
	ports: []uint16{2375, 2376, 4243},
	shows: func(g page) bool {
		return g.header.Get("Docker-Experimental") != "" || g.header.Get("Api-Version") != ""
	},
	tell: func(p *peer, front page) (Service, bool) {
		answer, ok := p.get(request{path: "/version"})
		if !ok {
			return Service{}, false
		}
		v, ok := decode[struct {
			Version, APIVersion, Os, Arch, KernelVersion string
			Components                                   []struct{ Name, Version string }
		}](answer)
		if !ok || v.Version == "" || v.APIVersion == "" {
			return Service{}, false
		}
		s := Service{Product: "Docker", Version: v.Version, Access: AccessOpen, Info: join("API "+v.APIVersion, strings.TrimSpace(v.Os+" "+v.KernelVersion))}
		if len(v.Components) > 0 && strings.HasPrefix(v.Components[0].Name, "Podman") {
			s.Product = "Podman"
		}
		return s, true
	},
}

// A statusOf Kubernetes is what its API server answers instead of what was asked for.
type statusOf struct{ Kind, APIVersion, Reason string }

var kubernetesApplication = application{
	name:  "kubernetes",
	ports: []uint16{6443},
	shows: func(g page) bool {
		status, ok := decode[statusOf](g)
		return ok && status.Kind == "Status" && status.APIVersion == "v1"
	},
	tell: func(p *peer, front page) (Service, bool) {
		s := Service{Product: "Kubernetes API server"}
		switch front.status {
		case 200: // the list of paths, for somebody who didn't log in
			s.Access = AccessOpen
		case 401, 403:
			s.Access = AccessDenied
		}
		answer, ok := p.get(request{path: "/version"})
		if !ok {
			return s, false
		}
		v, ok := decode[struct{ GitVersion, Platform string }](answer)
		if ok && v.GitVersion != "" {
			s.Version, s.Info = strings.TrimPrefix(v.GitVersion, "v"), v.Platform
			return s, true
		}
		status, ok := decode[statusOf](answer)
		return s, ok && status.Kind == "Status"
	},
}

var kubeletApplication = application{
	name:  "kubelet",
	ports: []uint16{10250, 10255},
	shows: never,
	tell: func(p *peer, front page) (Service, bool) {
		answer, ok := p.get(request{path: "/pods"})
		if !ok {
			return Service{}, false
		}
		s := Service{Product: "kubelet"}
		switch {
		case answer.status == 401 || answer.status == 403:
			s.Access = AccessDenied
		case answer.status == 200 && strings.Contains(string(answer.body[:min(len(answer.body), 200)]), `"PodList"`):
			s.Access = AccessOpen
		default:
			return Service{}, false
		}
		return s, true
	},
}

var etcdApplication = application{
	name:  "etcd",
	ports: []uint16{2379, 4001},
	shows: never,
	tell: func(p *peer, front page) (Service, bool) {
		answer, ok := p.get(request{path: "/version"})
		if !ok {
			return Service{}, false
		}
		v, ok := decode[struct{ Etcdserver, Etcdcluster string }](answer)
		if !ok || v.Etcdserver == "" {
			return Service{}, false
		}
		s := Service{Product: "etcd", Version: v.Etcdserver}
		// How many keys there are, of one name that is a zero byte: no data is read. With
		// authentication on, etcd answers that the user name is empty.
		count, ok := p.get(request{path: "/v3/kv/range", contentType: "application/json", body: []byte(`{"key":"AA==","count_only":true}`)})
		switch {
		case ok && count.status == 200:
			s.Access = AccessOpen
		case ok && strings.Contains(string(count.body), "user name is empty"):
			s.Access = AccessDenied
		}
		return s, true
	},
}

var elasticsearchApplication = application{
	name:  "elasticsearch",
	ports: []uint16{9200},
	shows: func(g page) bool { return strings.Contains(string(g.body), "You Know, for Search") || isOpenSearch(g) },
	tell: func(p *peer, front page) (Service, bool) {
		v, ok := decode[struct {
			Name        string
			ClusterName string `json:"cluster_name"`
			Version     struct{ Number, Distribution string }
		}](front)
		s := Service{Product: "Elasticsearch"}
		switch {
		case ok && v.Version.Number != "":
			s.Version, s.Hostname, s.Access = v.Version.Number, v.Name, AccessOpen
			s.Info = join("cluster " + v.ClusterName)
			if v.Version.Distribution == "opensearch" {
				s.Name, s.Product = "opensearch", "OpenSearch"
			}
			return s, true
		case front.status == 401:
			s.Access = AccessDenied
			return s, strings.Contains(front.header.Get("WWW-Authenticate"), `realm="security"`)
		}
		return Service{}, false
	},
}

func isOpenSearch(g page) bool {
	return strings.Contains(string(g.body), "The OpenSearch Project: https://opensearch.org/")
}

var couchDBApplication = application{
	name: "couchdb",
	shows: func(g page) bool {
		v, ok := decode[struct{ Couchdb string }](g)
		return ok && v.Couchdb != ""
	},
	tell: func(p *peer, front page) (Service, bool) {
		v, _ := decode[struct{ Version string }](front)
		return Service{Product: "CouchDB", Version: v.Version}, true
	},
}

var prometheusApplication = application{
	name:  "http",
	shows: func(g page) bool { return g.status/100 == 3 && strings.HasPrefix(g.header.Get("Location"), "/graph") },
	tell: func(p *peer, front page) (Service, bool) {
		answer, ok := p.get(request{path: "/api/v1/status/buildinfo"})
		if !ok {
			return Service{}, false
		}
		v, ok := decode[struct{ Data struct{ Version string } }](answer)
		return Service{Product: "Prometheus", Version: v.Data.Version, Access: AccessOpen}, ok && v.Data.Version != ""
	},
}

// namedByHeader are applications that put their name, and mostly their version, into a header.
var namedByHeader = []struct{ header, product string }{
	{"X-Jenkins", "Jenkins"},
	{"X-Influxdb-Version", "InfluxDB"},
	{"Kbn-Name", "Kibana"},
	{"X-Gitlab-Meta", "GitLab"},
	{"X-Clickhouse-Server-Display-Name", "ClickHouse"},
}

var headerApplication = application{
	name:  "http",
	shows: func(g page) bool { return byHeader(g).Product != "" },
	tell:  func(_ *peer, front page) (Service, bool) { return byHeader(front), true },
}

func byHeader(g page) Service {
	for _, n := range namedByHeader {
		value := g.header.Get(n.header)
		if value == "" {
			continue
		}
		s := g.service()
		s.Product, s.Version = n.product, ""
		if v := strings.TrimPrefix(value, "v"); startsWithDigit(v) {
			s.Version = v
		}
		return s
	}
	return Service{}
}
