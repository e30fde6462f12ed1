package service

import "fmt"

// How products are told to keep their version to themselves. Those that can't are
// not in the list: there is nothing to do but to keep them updated.
var quieter = map[string]string{
	"nginx":         "Set server_tokens off; in nginx.conf.",
	"Apache":        "Set ServerTokens Prod and ServerSignature Off.",
	"lighttpd":      `Set server.tag = "lighttpd".`,
	"Exim":          `Set smtp_banner = "$smtp_active_hostname ESMTP" in Exim's configuration.`,
	"Sendmail":      "Set SmtpGreetingMessage in sendmail.cf.",
	"Postfix":       "Leave $mail_version out of smtpd_banner.",
	"vsFTPd":        "Set ftpd_banner in vsftpd.conf.",
	"ProFTPD":       "Set ServerIdent off.",
	"dnsmasq":       "Start it with --no-ident (no-ident in dnsmasq.conf).",
	"ISC BIND":      `Set version none; in the options of named.conf.`,
	"unbound":       "Set hide-version: yes.",
	"Dovecot":       "Set imap_id_send in dovecot.conf.",
	"PHP":           "Set expose_php = Off in php.ini.",
	"NTPsec":        "Add noquery to restrict in ntp.conf.",
	"ntpd":          "Add noquery to restrict in ntp.conf.",
	"mosquitto":     "Deny $SYS/# in the acl_file.",
	"Microsoft-IIS": "Remove the Server header (removeServerHeader in requestFiltering).",
}

func versionTold(s sighting) []Finding {
	remedy, known := quieter[s.Product]
	if s.Version == "" || !known {
		return nil
	}
	return []Finding{{info, "version-told", fmt.Sprintf("it tells everybody that it is %s %s, so known faults can be looked up.", s.Product, s.Version), remedy}}
}
