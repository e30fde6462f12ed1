package service

import (
	"fmt"
	"slices"
	"strings"
)

// Services whose logins or data cross the network readable for everybody on the
// way, unless TLS is around them or can be turned on in them.
var readable = map[string]struct{ severity, what, remedy string }{
	"telnet":     {high, "passwords and all that is typed", "Use SSH, and turn telnet off."},
	"ftp":        {medium, "passwords and files", "Use SFTP, or require TLS (vsftpd: ssl_enable=YES, force_local_logins_ssl=YES)."},
	"imap":       {medium, "passwords and mail", "Offer STARTTLS and refuse logins before it (Dovecot: ssl=required), or serve 993 alone."},
	"pop3":       {medium, "passwords and mail", "Offer STLS and refuse logins before it (Dovecot: ssl=required), or serve 995 alone."},
	"ldap":       {medium, "passwords and the directory", "Offer StartTLS and require it (slapd: security tls=1), or serve 636 alone."},
	"smtp":       {low, "mail, and passwords where it takes logins", "Offer STARTTLS (Postfix: smtpd_tls_security_level=may; Exim: tls_advertise_hosts=*)."},
	"redis":      {low, "data and passwords", "Use TLS (tls-port in redis.conf) wherever it leaves the host."},
	"mqtt":       {low, "messages and passwords", "Use TLS: port 8883 with cafile, certfile and keyfile."},
	"mysql":      {low, "data", "Give the server a certificate (ssl_cert, ssl_key) and require it: require_secure_transport=ON."},
	"postgresql": {low, "data", "Set ssl=on, and hostssl instead of host in pg_hba.conf."},
	"mongodb":    {low, "data and passwords", "Set net.tls.mode: requireTLS in mongod.conf."},
	"memcached":  {low, "data", "Keep it on loopback, or start it with --enable-ssl."},
	"amqp":       {low, "messages and passwords", "Use AMQPS on port 5671."},
	"vnc":        {medium, "what is typed and seen", "Bind it to loopback and reach it through an SSH tunnel or a VPN, or use VeNCrypt."},
	"rtsp":       {low, "the picture", "Use RTSPS, or keep cameras on a network of their own."},
	"rsync":      {low, "files", "Run rsync over SSH."},
	"tftp":       {medium, "files, and nobody is asked who he is", "Let only the hosts that boot from it reach it."},
	"nntp":       {low, "passwords and articles", "Use NNTPS on port 563."},
}

// Ports whose services are readable by design and tell nothing to be recognised by.
var readablePorts = map[uint16]struct{ name, remedy string }{
	512: {"rexec", "Use SSH, and turn it off."},
	513: {"rlogin", "Use SSH, and turn it off."},
	514: {"rsh", "Use SSH, and turn it off."},
}

func plainText(s sighting) []Finding {
	if s.Name == "" {
		if r, known := readablePorts[s.port]; known && s.protocol == "tcp" {
			return []Finding{{high, "plain-text", fmt.Sprintf("%s is usual here: passwords and all that is typed cross the network readable.", r.name), r.remedy}}
		}
		return nil
	}
	if s.TLS != nil {
		return nil
	}
	if s.Name == "http" && s.Access == AccessDenied {
		return []Finding{{medium, "plain-text", "the web page asks for a login without TLS: passwords cross the network readable.",
			"Serve it over HTTPS, and redirect HTTP there."}}
	}
	r, known := readable[s.Name]
	if !known || s.Name == "vnc" && (strings.Contains(s.Info, "TLS") || strings.Contains(s.Info, "VeNCrypt")) {
		return nil
	}
	if s.StartTLS {
		if s.Name != "ftp" && s.Name != "imap" && s.Name != "pop3" {
			return nil
		}
		return []Finding{{info, "plain-text", fmt.Sprintf("%s offers TLS; whether it takes logins without, only a login would tell.", s.spoken()), r.remedy}}
	}
	return []Finding{{r.severity, "plain-text", fmt.Sprintf("%s has no encryption: %s cross the network readable.", s.spoken(), r.what), r.remedy}}
}

var obsoleteVersions = []struct{ version, severity, why, remedy string }{
	{"SMB 1", high, "the protocol that WannaCry came through, without encryption or secure signing", "Set server min protocol = SMB2 in smb.conf; on Windows: Set-SmbServerConfiguration -EnableSMB1Protocol $false."},
	{"SSH 1", high, "its encryption is broken", "Set Protocol 2, or update the SSH server."},
	{"standard RDP security", medium, "its encryption is weak and the server isn't authenticated", "Require network level authentication (TLS)."},
	{"SNMP", medium, "the community crosses the network readable", "Use SNMP 3 with authPriv, and turn 1 and 2c off."},
	{"TLS", medium, "its ciphers and hashes are broken or weak (RFC 8996)", "Allow TLS 1.2 and 1.3 alone (nginx: ssl_protocols TLSv1.2 TLSv1.3)."},
}

// Services that were given up long ago, by the port's name.
var givenUp = []string{"finger", "netstat", "systat", "chargen", "echo", "discard", "daytime", "qotd", "exec", "login", "shell", "rje", "uucp"}

func obsolete(s sighting) []Finding {
	var out []Finding
	for _, version := range s.Obsolete {
		for _, o := range obsoleteVersions {
			if strings.HasPrefix(version, o.version) {
				out = append(out, Finding{o.severity, "obsolete-protocol", fmt.Sprintf("it speaks %s: %s.", version, o.why), o.remedy})
			}
		}
	}
	if usual := Name(s.protocol, s.port); s.Name == "" && slices.Contains(givenUp, usual) {
		out = append(out, Finding{low, "obsolete-service", fmt.Sprintf("%s is usual at %s: nothing needs it today.", usual, s.at()), "Turn it off."})
	}
	return out
}

func containsFold(s, word string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(word))
}
