package service

import "fmt"

// What everybody may do where a service asks nobody who he is, and the remedy in
// its own words.
var openTo = map[string]struct{ severity, may, remedy string }{
	"docker":        {high, "start containers as root of this host, and so take it over", "Remove -H tcp:// from dockerd (systemctl edit docker.service), or require client certificates: --tlsverify. From afar, use DOCKER_HOST=ssh://."},
	"kubernetes":    {high, "read what the cluster's API server offers without a login", "Set --anonymous-auth=false, or take rights away from system:anonymous (kubectl get clusterrolebindings -o wide)."},
	"kubelet":       {high, "read the node's pods, and mostly run commands in them", "Set authentication.anonymous.enabled: false and authorization.mode: Webhook in the kubelet's configuration, and readOnlyPort: 0."},
	"etcd":          {high, "read and write all keys; in a Kubernetes cluster those are its secrets", "Set --client-cert-auth and --trusted-ca-file, or turn on authentication: etcdctl auth enable."},
	"redis":         {high, "read and change all data, and often write files of the host", "Set requirepass or an ACL, and bind 127.0.0.1 in redis.conf; leave protected-mode on."},
	"memcached":     {high, "read and change all that is cached", "Start it with -l 127.0.0.1 (in /etc/memcached.conf), or with an authentication file: -Y."},
	"mongodb":       {high, "list the databases, and read and change them", "Set security.authorization: enabled and net.bindIp: 127.0.0.1 in mongod.conf."},
	"elasticsearch": {high, "read and change all indices", "Set xpack.security.enabled: true and network.host: 127.0.0.1 in elasticsearch.yml."},
	"opensearch":    {high, "read and change all indices", "Turn the security plugin on again (plugins.security.disabled: false)."},
	"vnc":           {high, "see the screen, and use mouse and keyboard", "Set a password and bind it to loopback (-localhost): reach it through an SSH tunnel."},
	"rsync":         {medium, "list the modules, and read those without auth users", "Set auth users, secrets file and hosts allow for each module in rsyncd.conf."},
	"mqtt":          {medium, "read what sensors publish, and command devices", "Set allow_anonymous false with a password_file, and an acl_file."},
	"rtsp":          {medium, "see the camera's picture", "Set a password for the stream in the device's settings."},
	"imap":          {high, "read the mail: the session begins logged in", "Take PREAUTH out of the server's configuration."},
	"snmp":          {medium, "read the device's settings and neighbours: it takes the community \"public\"", "Remove the community, use SNMP 3 with authPriv, and name the managers' addresses (rocommunity NAME SOURCE)."},
	"asf-rmcp":      {high, "open a management session without a password", "Turn authentication type \"none\" off in the management controller, and put it on a network of its own."},
	"coap":          {low, "list the device's resources", "Use DTLS (port 5684), or keep the device on a network of its own."},
}

func openAccess(s sighting) []Finding {
	if s.Access != AccessOpen {
		return nil
	}
	open, known := openTo[s.Name]
	if !known {
		open.severity, open.may, open.remedy = low, "read what it answers", "Require a login, or let only those hosts reach it that need it."
	}
	return []Finding{{open.severity, "no-authentication",
		fmt.Sprintf("%s answers without a login: whoever reaches it may %s.", s.what(), open.may), open.remedy}}
}

// Interfaces through which hosts are managed: the fewer can reach them, the better.
var managed = map[string]struct{ severity, remedy string }{
	"docker":     {medium, "Use the local socket, or SSH."},
	"kubernetes": {low, "Let only administrators' networks reach the API server."},
	"kubelet":    {low, "Let only the control plane reach it."},
	"etcd":       {medium, "Let only the control plane and the other members reach it."},
	"rdp":        {medium, "Reach it through a VPN or a gateway, and require network level authentication."},
	"vnc":        {medium, "Bind it to loopback and reach it through an SSH tunnel or a VPN."},
	"asf-rmcp":   {medium, "Put the management controller on a network of its own: IPMI 2.0 hands out password hashes by design."},
	"snmp":       {low, "Let only the managers' addresses reach it."},
	"winrm":      {low, "Let only administrators' networks reach it."},
}

// Ports of interfaces that only their web page could tell.
var managedPorts = map[uint16]string{
	5985: "winrm", 5986: "winrm",
}

// Web pages that manage a host or a device, by words of their title or product.
var managedTitles = []string{"Webmin", "Cockpit", "Proxmox", "phpMyAdmin", "Portainer", "RouterOS", "OpenWrt", "LuCI", "pfSense", "OPNsense",
	"iDRAC", "Integrated Lights-Out", "Synology", "QNAP", "TrueNAS", "UniFi", "FRITZ!Box", "RabbitMQ Management", "Adminer", "pgAdmin", "Jenkins"}

func management(s sighting) []Finding {
	name := s.Name
	if name == "http" && s.protocol == "tcp" {
		name = or(managedPorts[s.port], name)
	}
	if m, known := managed[name]; known {
		return []Finding{{m.severity, "management-interface", fmt.Sprintf("%s manages this host or its workloads.", s.what()), m.remedy}}
	}
	for _, title := range managedTitles {
		if name == "http" && (containsFold(s.Title, title) || containsFold(s.Product, title)) {
			return []Finding{{low, "management-interface", fmt.Sprintf("the web page of %s manages this host or device.", title),
				"Let only administrators' networks reach it, and keep it updated."}}
		}
	}
	return nil
}
