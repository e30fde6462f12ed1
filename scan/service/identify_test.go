package service

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	jsonPage  = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
	notFound  = "HTTP/1.1 404 Not Found\r\n\r\n"
	bsonInfo  = "\x02version\x00\x07\x00\x00\x006.0.13\x00\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0\x3f"
	bsonNo    = "\x01ok\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10code\x00\x0d\x00\x00\x00"
	bsonYes   = "\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0\x3f"
	mysql8    = "\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xff\xff\x02\x00\xff\xdf\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00abcdefghijkl\x00caching_sha2_password\x00"
	denied    = "\x44\x00\x00\x01\xff\x6a\x04Host '192.0.2.1' is not allowed to connect to this MariaDB server"
	startupNo = "E\x00\x00\x00\x8dSFATAL\x00VFATAL\x00C0A000\x00Munsupported frontend protocol 255.255: server supports 3.0 to 3.0\x00Fpostmaster.c\x00L2195\x00RProcessStartupPacket\x00\x00"
)

// mongo frames the elements of a document as a reply.
func mongo(elements string) string {
	document := fmt.Sprintf("%c\x00\x00\x00%s\x00", len(elements)+5, elements)
	return fmt.Sprintf("%c\x00\x00\x00\x09\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00%s", 21+len(document), document)
}

// Each is a conversation as the product has it.
var conversations = []struct {
	name  string
	port  uint16
	serve []string
	want  string
}{
	{"OpenSSH of Debian", 22, []string{"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"}, "ssh OpenSSH 9.2p1 (Debian-2+deb12u3; protocol 2.0)"},
	{"Dropbear", 22, []string{"SSH-2.0-dropbear_2022.83\r\n"}, "ssh Dropbear 2022.83 (protocol 2.0)"},
	{"lines before the version", 22, []string{"Keep out.\r\nReally.\r\nSSH-1.99-Cisco-1.25\r\n"}, "ssh Cisco-1.25  (protocol 1.99) obsolete: SSH 1"},
	{"Postfix", 25, []string{"220 mail.example.org ESMTP Postfix (Debian/GNU)\r\n", "EHLO", "250-mail.example.org\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n"},
		"smtp Postfix  (Debian/GNU) starttls host mail.example.org"},
	{"Exim, as any mail server in several lines", 25, []string{"220-mail.example.org ESMTP Exim 4.96\r\n220 hello\r\n", "EHLO", "250 mail.example.org\r\n"},
		"smtp Exim 4.96 () host mail.example.org"},
	{"a mail server without a name", 25, []string{"220 ready\r\n", "EHLO", "250-here\r\n250 AUTH PLAIN\r\n"}, "smtp   (takes logins)"},
	{"vsftpd", 21, []string{"220 (vsFTPd 3.0.3)\r\n", "FEAT", "211-Features:\r\n AUTH TLS\r\n211 End\r\n"}, "ftp vsFTPd 3.0.3 () starttls"},
	{"ProFTPD without features", 21, []string{"220 ProFTPD 1.3.8 Server (Debian) [192.0.2.7]\r\n", "FEAT", "500 no\r\n"}, "ftp ProFTPD 1.3.8 ()"},
	{"Dovecot", 143, []string{"* OK [CAPABILITY IMAP4rev1 ID STARTTLS] Dovecot (Debian) ready.\r\n",
		"CAPABILITY", "* CAPABILITY IMAP4rev1 ID STARTTLS\r\na OK done\r\n", "ID NIL", "* ID (\"name\" \"Dovecot\" \"version\" \"2.3.19\")\r\nb OK done\r\n"},
		"imap Dovecot 2.3.19 () starttls"},
	{"mail without a login", 143, []string{"* PREAUTH ready\r\n", "CAPABILITY", "a BAD no\r\n"}, "imap   () open"},
	{"POP3 with an implementation", 110, []string{"+OK ready\r\n", "CAPA", "+OK\r\nSTLS\r\nIMPLEMENTATION Cyrus POP3 v3.6.1\r\n.\r\n"}, "pop3 Cyrus POP3 3.6.1 () starttls"},
	{"MySQL", 3306, []string{mysql8}, "mysql MySQL 8.0.36 () starttls"},
	{"MariaDB that refuses this host", 3306, []string{denied}, "mysql MariaDB  (refuses: Host '192.0.2.1' is not allowed to connect to this MariaDB server) denied"},
	{"VNC with a password", 5900, []string{"RFB 003.008\n", "RFB", "\x02\x02\x13"}, "vnc   (protocol 3.8; security: VNC password, VeNCrypt) denied"},
	{"VNC without", 5900, []string{"RFB 003.008\n", "RFB", "\x01\x01"}, "vnc   (protocol 3.8; security: none) open"},
	{"old VNC without", 5900, []string{"RFB 003.003\n", "RFB", "\x00\x00\x00\x01"}, "vnc   (protocol 3.3; security: none) open"},
	{"telnet", 23, []string{"\xff\xfd\x18\xff\xfd\x20", "\xff\xfc\x18", "Debian GNU/Linux 12\r\nweb-1 login: "}, "telnet   (Debian GNU/Linux 12)"},
	{"rsync", 873, []string{"@RSYNCD: 31.0 sha512\n", "#list", "backup         \tall\nhome\t\n@RSYNCD: EXIT\n"}, "rsync   (protocol 31.0; modules: backup, home) open"},
	{"Redis", 6379, []string{"", "PING", "+PONG\r\n", "INFO", "$45\r\n# Server\r\nredis_version:7.0.15\r\nos:Linux 6.1\r\n\r\n\r\n"}, "redis Redis 7.0.15 (Linux 6.1) open"},
	{"Valkey", 6379, []string{"", "PING", "+PONG\r\n", "INFO", "$46\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\n\r\n\r\n"}, "redis Valkey 8.0.1 () open"},
	{"Redis with a password", 6379, []string{"", "PING", "-NOAUTH Authentication required.\r\n"}, "redis Redis  () denied"},
	{"Redis in protected mode", 6379, []string{"-DENIED Redis is running in protected mode\r\n"}, "redis Redis  (protected mode: other hosts are refused) denied"},
	{"memcached", 11211, []string{"", "version", "VERSION 1.6.18\r\n"}, "memcached Memcached 1.6.18 () open"},
	{"memcached with a password", 11211, []string{"", "version", "CLIENT_ERROR unauthenticated\r\n"}, "memcached Memcached  () denied"},
	{"PostgreSQL 15 without TLS", 5432, []string{"", string(sslRequest), "N", string(unknownStartup), startupNo}, "postgresql PostgreSQL 14 to 16 ()"},
	{"MongoDB with a login", 27017, []string{"", "buildInfo", mongo(bsonInfo), "listDatabases", mongo(bsonNo)}, "mongodb MongoDB 6.0.13 () denied"},
	{"MongoDB without", 27017, []string{"", "buildInfo", mongo(bsonInfo), "listDatabases", mongo(bsonYes)}, "mongodb MongoDB 6.0.13 () open"},
	{"Mosquitto", 1883, []string{"", "MQTT", "\x20\x02\x00\x00", "$SYS", "\x90\x03\x00\x01\x00\x30\x2d\x00\x13$SYS/broker/versionmosquitto version 2.0.11"}, "mqtt mosquitto 2.0.11 () open"},
	{"a broker with a login", 1883, []string{"", "MQTT", "\x20\x02\x00\x05"}, "mqtt   () denied"},
	{"a camera that shows to all", 554, []string{"", "OPTIONS", "RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: GStreamer/1.22\r\n\r\n", "DESCRIBE", "RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n"}, "rtsp GStreamer 1.22 () open"},
	{"a camera with a login", 554, []string{"", "RTSP", "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n"}, "rtsp   () denied"},
	{"RabbitMQ", 5672, []string{"", "AMQP", "\x01\x00\x00\x00\x00\x00\x30\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x25\x07productS\x00\x00\x00\x08RabbitMQ\x07versionS\x00\x00\x00\x063.10.8\x00\x00\x00\x00\x00\xce"},
		"amqp RabbitMQ 3.10.8 ()"},
	{"LDAP", 389, []string{"", "objectClass", string(ber(berSequence, berSmall(1), ber(0x64, berText(""), ber(berSequence,
		ber(berSequence, berText("vendorName"), ber(0x31, berText("389 Project"))), ber(berSequence, berText("vendorVersion"), ber(0x31, berText("2.3.1"))))))) +
		string(ber(berSequence, berSmall(1), ber(0x65, ber(berEnum, []byte{0}), berText(""), berText(""))))}, "ldap 389 Project 2.3.1 ()"},
	{"OpenLDAP", 389, []string{"", "objectClass", string(ber(berSequence, berSmall(1), ber(0x64, berText(""), ber(berSequence,
		ber(berSequence, berText("objectClass"), ber(0x31, berText("top"), berText("OpenLDAProotDSE"))),
		ber(berSequence, berText("supportedExtension"), ber(0x31, berText("1.3.6.1.4.1.1466.20037"))))))) +
		string(ber(berSequence, berSmall(1), ber(0x65, ber(berEnum, []byte{0}), berText(""), berText(""))))}, "ldap OpenLDAP  () starttls"},
	{"PgBouncer", 6432, []string{"", string(sslRequest), "N", string(unknownStartup), "E\x00\x00\x00\x3fSERROR\x00C08P01\x00Mbad packet header: '0000000900ff00ff'\x00\x00"}, "postgresql PgBouncer  ()"},
	{"CUPS", 631, []string{"", "POST /ipp/print", notFound, "GET /", "HTTP/1.1 404 Not Found\r\nServer: CUPS/2.4 IPP/2.1\r\n\r\n<title>Not Found - CUPS v2.4.2</title>"},
		"ipp CUPS 2.4.2 (IPP/2.1) title Not Found - CUPS v2.4.2"},
	{"SQL Server", 1433, []string{"", "\x12\x01", "\x04\x01\x00\x1a\x00\x00\x00\x00\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff\x0f\x00\x07\xd0\x00\x00\x01"},
		"ms-sql-s Microsoft SQL Server 15.0.2000 () starttls"},
	{"RDP of old", 3389, []string{"", "\x03\x00\x00\x13", "\x03\x00\x00\x0b\x06\xd0\x00\x00\x12\x34\x00"}, "rdp   () obsolete: standard RDP security"},

	{"nginx", 80, []string{"", "GET", "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n<html><TITLE lang=de>\n Gr&uuml;&szlig;e \n aus </TITLE>"}, "http nginx 1.22.1 () title Grüße aus"},
	{"Apache with its modules", 80, []string{"", "GET", "HTTP/1.1 302 Found\r\nServer: Apache/2.4.57 (Debian) OpenSSL/3.0.11\r\nX-Powered-By: PHP/8.2\r\nLocation: /login\r\n\r\n"},
		"http Apache 2.4.57 (Debian, OpenSSL/3.0.11; PHP/8.2; redirects to /login)"},
	{"a page with a login", 80, []string{"", "GET", "HTTP/1.1 401 Unauthorized\r\nServer: micro_httpd\r\nWWW-Authenticate: Basic realm=\"router\"\r\n\r\n"}, "http micro_httpd  (asks for a login to \"router\") denied"},
	{"HTTP/2 alone", 80, []string{"", "GET", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"}, "http   (HTTP/2 only)"},
	{"Docker", 2375, []string{"", "GET /version", jsonPage + `{"Version":"24.0.7","ApiVersion":"1.43","Os":"linux","KernelVersion":"6.1.0"}`, "GET / ", notFound}, "docker Docker 24.0.7 (API 1.43; linux 6.1.0) open"},
	{"Podman by its header", 8080, []string{"", "GET /version", jsonPage + `{"Version":"4.3.1","ApiVersion":"1.41","Components":[{"Name":"Podman Engine"}]}`,
		"GET / ", "HTTP/1.1 404 Not Found\r\nApi-Version: 1.41\r\n\r\n"}, "docker Podman 4.3.1 (API 1.41) open"},
	{"Kubernetes refuses", 8080, []string{"", "GET /version", jsonPage + `{"gitVersion":"v1.29.1","platform":"linux/amd64"}`,
		"GET / ", "HTTP/1.1 403 Forbidden\r\n\r\n" + `{"kind":"Status","apiVersion":"v1","reason":"Forbidden"}`}, "kubernetes Kubernetes API server 1.29.1 (linux/amd64) denied"},
	{"kubelet for all", 10255, []string{"", "GET /pods", jsonPage + `{"kind":"PodList","items":[`, "GET / ", notFound}, "kubelet kubelet  () open"},
	{"etcd", 2379, []string{"", "GET /version", jsonPage + `{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}`, "POST /v3/kv/range", jsonPage + `{"header":{}}`, "GET / ", notFound}, "etcd etcd 3.4.23 () open"},
	{"etcd with a login", 2379, []string{"", "GET /version", jsonPage + `{"etcdserver":"3.5.9","etcdcluster":"3.5.0"}`,
		"POST /v3/kv/range", "HTTP/1.1 400 Bad Request\r\n\r\n{\"error\":\"etcdserver: user name is empty\"}", "GET / ", notFound}, "etcd etcd 3.5.9 () denied"},
	{"Elasticsearch", 9200, []string{"", "GET", jsonPage + `{"name":"es1","cluster_name":"logs","version":{"number":"8.11.1"},"tagline":"You Know, for Search"}`},
		"elasticsearch Elasticsearch 8.11.1 (cluster logs) open host es1"},
	{"OpenSearch elsewhere", 8080, []string{"", "GET", jsonPage + `{"name":"o1","cluster_name":"logs","version":{"number":"2.11.0","distribution":"opensearch"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`},
		"opensearch OpenSearch 2.11.0 (cluster logs) open host o1"},
	{"Elasticsearch with a login", 9200, []string{"", "GET", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"security\"\r\n\r\n{}"}, "elasticsearch Elasticsearch  () denied"},
	{"Jenkins", 8080, []string{"", "GET", "HTTP/1.1 403 Forbidden\r\nServer: Jetty(10.0.18)\r\nX-Jenkins: 2.426.1\r\n\r\n"}, "http Jenkins 2.426.1 ()"},
	{"a printer", 631, []string{"", "POST /ipp/print", "HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\n\r\n\x01\x01\x00\x00\x00\x00\x00\x01\x01\x04\x41\x00\x16printer-make-and-model\x00\x0cHP LaserJet1\x03",
		"GET /", "HTTP/1.1 200 OK\r\nServer: HP IPP/2.0\r\n\r\n"}, "ipp HP LaserJet1  ()"},

	// At ports where nobody expects them.
	{"SSH elsewhere", 40022, []string{"SSH-2.0-OpenSSH_9.2p1\r\n"}, "ssh OpenSSH 9.2p1 (protocol 2.0)"},
	{"SSH at the port of HTTPS", 443, []string{"SSH-2.0-OpenSSH_9.2p1\r\n"}, "ssh OpenSSH 9.2p1 (protocol 2.0)"},
	{"SSH at the port of HTTP", 80, []string{"SSH-2.0-OpenSSH_9.2p1\r\n"}, "ssh OpenSSH 9.2p1 (protocol 2.0)"},
	{"FTP elsewhere", 40021, []string{"220 (vsFTPd 3.0.3)\r\n", "FEAT", "211 none\r\n"}, "ftp vsFTPd 3.0.3 ()"},
	{"mail elsewhere", 40025, []string{"220 mail.example.org ESMTP Postfix\r\n", "EHLO", "250 here\r\n"}, "smtp Postfix  () host mail.example.org"},
	{"MySQL elsewhere", 40306, []string{mysql8}, "mysql MySQL 8.0.36 () starttls"},
	{"HTTP elsewhere", 40080, []string{"", "GET", "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n"}, "http nginx 1.22.1 ()"},
	{"HTTP at the port of SSH", 22, []string{"", "GET", "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\r\n"}, "http nginx 1.22.1 ()"},
	{"Redis elsewhere, which doesn't know GET of one argument", 40379, []string{"", "GET / HTTP", "-ERR wrong number of arguments for 'get' command\r\n", "PING", "+PONG\r\n", "INFO", "$21\r\nredis_version:7.0.15\r\n"}, "redis Redis 7.0.15 () open"},
	{"memcached elsewhere", 40211, []string{"", "GET /", "ERROR\r\n", "version", "VERSION 1.6.18\r\n"}, "memcached Memcached 1.6.18 () open"},
	{"MongoDB elsewhere", 40017, []string{"", "GET /", "HTTP/1.0 200 OK\r\n\r\nIt looks like you are trying to access MongoDB over HTTP on the native driver port.", "buildInfo", mongo(bsonInfo), "listDatabases", mongo(bsonNo)}, "mongodb MongoDB 6.0.13 () denied"},
	{"PostgreSQL elsewhere, which hangs up on HTTP", 40432, []string{"", "GET", hangUp, string(sslRequest), "N", string(unknownStartup), startupNo}, "postgresql PostgreSQL 14 to 16 ()"},
	{"MQTT elsewhere", 40883, []string{"", "MQTT", "\x20\x02\x00\x05", "", hangUp}, "mqtt   () denied"},
	{"RTSP at the port of HTTP", 8080, []string{"", "GET", "RTSP/1.0 400 Bad Request\r\n\r\n", "RTSP", "RTSP/1.0 401 Unauthorized\r\n\r\n"}, "rtsp   () denied"},
	{"a greeting that nobody knows", 40001, []string{"hello, who are you?\r\n"}, "   () banner hello, who are you?"},
	{"nothing at all", 40002, []string{""}, "   ()"},
}

func TestEveryProductIsRecognised(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			n := &network{serve: script(c.serve[0], c.serve[1:]...)}
			s, _ := identify(t, n, "tcp", c.port)
			if got := told(s); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// A silent port is asked everything, and is common: 2 s of listening, 2 s for HTTP, 4 s of guesses.
func TestASilentPortTakesEightSeconds(t *testing.T) {
	for protocol, most := range map[string]time.Duration{"tcp": 8 * time.Second, "udp": 2 * time.Second} {
		if s, took := identify(t, &network{serve: silence}, protocol, 40002); took > most || s.Name != "" {
			t.Errorf("%s: %v, %+v", protocol, took, s)
		}
	}
}

// told is a service in a line.
func told(s Service) string {
	line := fmt.Sprintf("%s %s %s (%s)", s.Name, s.Product, s.Version, s.Info)
	add := func(name, value string) {
		if value != "" {
			line += " " + name + value
		}
	}
	if s.Access != AccessUnknown {
		line += " " + s.Access.String()
	}
	if s.StartTLS {
		line += " starttls"
	}
	if s.Name == "" {
		add("banner ", s.Banner)
	}
	add("obsolete: ", strings.Join(s.Obsolete, ", "))
	add("host ", s.Hostname)
	add("title ", s.Title)
	return line
}
