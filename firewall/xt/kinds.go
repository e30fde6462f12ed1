package xt

import "github.com/netglance/netglance/firewall"

// matchKind finds a match by its name; nil if it isn't known.
func matchKind(name string, family firewall.Family) *kind {
	if family == firewall.FamilyIPv6 {
		if k, ok := matches6[name]; ok {
			return k
		}
	} else if k, ok := matches4[name]; ok {
		return k
	}
	return matches[name]
}

// targetKind finds a target by its name; nil if it isn't known.
func targetKind(name string, family firewall.Family) *kind {
	if family == firewall.FamilyIPv6 {
		if k, ok := targets6[name]; ok {
			return k
		}
	} else if k, ok := targets4[name]; ok {
		return k
	}
	return targets[name]
}

// matches are the same for IPv4 and IPv6.
var matches = map[string]*kind{
	"addrtype":  {decodeAddrtype, addrtypeOptions, parseAddrtype},
	"bpf":       uncertainKind("bpf", firewall.External, "bytecode=1 object-pinned=1", bpfText),
	"cgroup":    {decodeCgroup, "path=1 cgroup=1", parseCgroup},
	"cluster":   uncertainKind("cluster", firewall.Random, "cluster-total-nodes=1 cluster-local-node=1 cluster-local-nodemask=1 cluster-hash-seed=1", clusterText),
	"comment":   {decodeComment, "comment=1", parseComment},
	"connbytes": {decodeConnbytes, "connbytes=1 connbytes-mode=1 connbytes-dir=1", parseConnbytes},
	"connlimit": uncertainKind("connlimit", firewall.Rate, "connlimit-upto=1 connlimit-above=1 connlimit-mask=1 connlimit-saddr=0 connlimit-daddr=0", connlimitText),
	"connmark":  {decodeConnmark, "mark=1", parseConnmark},
	"conntrack": {decodeConntrack, conntrackOptions, parseConntrack},
	"connlabel": {decodeConnlabel, "label=1 set=0", parseConnlabel},
	"cpu":       {decodeCPU, "cpu=1", parseCPU},
	"dccp":      {decodeDCCP, dccpOptions, parseDCCP},
	"devgroup":  {decodeDevgroup, "src-group=1 dst-group=1", parseDevgroup},
	"dscp":      {decodeDSCP, dscpOptions, parseDSCP},
	"ecn":       {decodeECN, ecnOptions, parseECN},
	"esp":       {decodeESP, "espspi=1", parseESP},
	"hashlimit": uncertainKind("hashlimit", firewall.Rate, hashlimitOptions, hashlimitText),
	"helper":    {decodeHelper, "helper=1", parseHelper},
	"ipcomp":    {decodeIPComp, "ipcompspi=1 compres=0", parseIPComp},
	"ipvs":      uncertainKind("ipvs", firewall.External, ipvsOptions, ipvsText),
	"iprange":   {decodeIprange, "src-range=1 dst-range=1", parseIprange},
	"length":    {decodeLength, "length=1", parseLength},
	"limit":     {decodeLimit, "limit=1 limit-burst=1", parseLimit},
	"mac":       {decodeMAC, "mac-source=1", parseMAC},
	"mark":      {decodeMark, "mark=1", parseMark},
	"multiport": {decodeMultiport, multiportOptions, parseMultiport},
	"nfacct":    uncertainKind("nfacct", firewall.History, "nfacct-name=1", nfacctText),
	"osf":       uncertainKind("osf", firewall.Sender, "genre=1 ttl=1 log=1", osfText),
	"owner":     {decodeOwner, ownerOptions, parseOwner},
	"physdev":   {decodePhysdev, physdevOptions, parsePhysdev},
	"pkttype":   {decodePkttype, "pkt-type=1", parsePkttype},
	"policy":    {decodePolicy, policyOptions, parsePolicy},
	"quota":     uncertainKind("quota", firewall.History, "quota=1", quotaText),
	"rateest":   uncertainKind("rateest", firewall.Rate, rateestOptions, rateestText),
	"realm":     {decodeRealm, "realm=1", parseRealm},
	"recent":    {decodeRecent, recentOptions, parseRecent},
	"rpfilter":  {decodeRPFilter, "loose=0 validmark=0 accept-local=0 invert=0", parseRPFilter},
	"sctp":      {decodeSCTP, sctpOptions, parseSCTP},
	"set":       {decodeSetMatch, setMatchOptions, parseSetMatch},
	"socket":    {decodeSocket, socketOptions, parseSocket},
	"state":     {decodeState, conntrackOptions, parseConntrack},
	"statistic": {decodeStatistic, statisticOptions, parseStatistic},
	"string":    uncertainKind("string", firewall.Sender, "string=1 hex-string=1 algo=1 from=1 to=1 icase=0", stringText),
	"tcp":       {decodeTCP, tcpOptions, parseTCP},
	"tcpmss":    {decodeTCPMSSMatch, "mss=1", parseTCPMSSMatch},
	"time":      uncertainKind("time", firewall.Time, timeOptions, timeText),
	"tos":       {decodeTOS, "tos=1", parseTOS},
	"u32":       {decodeU32, "u32=1", parseU32},
	"udp":       {decodeUDP, udpOptions, parseUDP},
	"udplite":   {decodeUDP, udpOptions, parseUDP},
}

var matches4 = map[string]*kind{
	"ah":   {decodeAH4, "ahspi=1", parseAH4},
	"icmp": {decodeICMP, "icmp-type=1", parseICMP},
	"ttl":  {decodeTTL, ttlOptions, parseTTL},
}

var matches6 = map[string]*kind{
	"ah":         {decodeAH6, "ahspi=1 ahlen=1 ahres=0", parseAH6},
	"dst":        {decodeDST, "dst-len=1 dst-opts=1 dst-not-strict=0", parseDST},
	"frag":       {decodeFrag, "fragid=1 fraglen=1 fragres=0 fragfirst=0 fragmore=0 fraglast=0", parseFrag},
	"hbh":        {decodeHBH, "hbh-len=1 hbh-opts=1 hbh-not-strict=0", parseHBH},
	"ipv6header": {decodeIPv6Header, "header=1 soft=0", parseIPv6Header},
	"mh":         {decodeMH, "mh-type=1", parseMH},
	"rt":         {decodeRT, rtOptions, parseRT},
	"srh":        uncertainKind("srh", firewall.Sender, srhOptions, srhText, hasHeader(headerRouting, false)),
	"eui64":      {decodeEUI64, "", parseEUI64},
	"hl":         {decodeHL, hlOptions, parseHL},
	"icmp6":      {decodeICMP6, "icmpv6-type=1", parseICMP6},
	"icmpv6":     {decodeICMP6, "icmpv6-type=1", parseICMP6},
}

// targets are the same for IPv4 and IPv6.
var targets = map[string]*kind{
	"":            {decode: decodeStandard},
	"standard":    {decode: decodeStandard},
	"ERROR":       plainKind(firewall.Verdict{Code: firewall.Drop}),
	"ACCEPT":      plainKind(firewall.Verdict{Code: firewall.Accept}),
	"DROP":        plainKind(firewall.Verdict{Code: firewall.Drop}),
	"RETURN":      plainKind(firewall.Verdict{Code: firewall.Return}),
	"QUEUE":       plainKind(firewall.Verdict{Code: firewall.Queue}),
	"AUDIT":       remarkKind("AUDIT", "type=1", auditText),
	"CHECKSUM":    remarkKind("CHECKSUM", "checksum-fill=0", checksumText),
	"CLASSIFY":    {decodeClassify, "set-class=1", parseClassify},
	"CONNMARK":    {decodeSetConnmark, setConnmarkOptions, parseSetConnmark},
	"CONNSECMARK": remarkKind("CONNSECMARK", "save=0 restore=0", connsecmarkText),
	"CT":          {decodeConntrackTarget, conntrackTargetOptions, parseConntrackTarget},
	"DNAT":        {decodeDNAT, "to-destination=1" + natOptions, parseDNAT},
	"DSCP":        {decodeSetDSCP, "set-dscp=1 set-dscp-class=1", parseSetDSCP},
	"HMARK":       {decodeHmark, hmarkOptions, parseHmark},
	"IDLETIMER":   remarkKind("IDLETIMER", "timeout=1 label=1 alarm=0", idletimerText),
	"LED":         remarkKind("LED", "led-trigger-id=1 led-delay=1 led-always-blink=0", ledText),
	"LOG":         {decodeLog, logOptions, parseLog},
	"MARK":        {decodeSetMark, setMarkOptions, parseSetMark},
	"MASQUERADE":  {decodeMasquerade, "to-ports=1" + natOptions, parseMasquerade},
	"NETMAP":      {decodeNetmap, "to=1" + natOptions, parseNetmap},
	"NFLOG":       {decodeNFLOG, nflogOptions, parseNFLOG},
	"NFQUEUE":     {decodeQueue, queueOptions, parseQueue},
	"NOTRACK":     {func(uint8, *fields) extension { return parseNotrack(nil) }, "", parseNotrack},
	"RATEEST":     remarkKind("RATEEST", "rateest-name=1 rateest-interval=1 rateest-ewmalog=1", rateestTargetText),
	"REDIRECT":    {decodeRedirect, "to-ports=1" + natOptions, parseRedirect},
	"SECMARK":     remarkKind("SECMARK", "selctx=1", secmarkText),
	"SET":         {decodeSetChange, setChangeOptions, parseSetChange},
	"SNAT":        {decodeSNAT, "to-source=1" + natOptions, parseSNAT},
	"SYNPROXY":    {decodeSynproxy, "mss=1 wscale=1 sack-perm=0 timestamp=0 ecn=0", parseSynproxy},
	"TCPMSS":      remarkKind("TCPMSS", "set-mss=1 clamp-mss-to-pmtu=0", tcpmssText),
	"TCPOPTSTRIP": remarkKind("TCPOPTSTRIP", "strip-options=1", tcpoptstripText),
	"TEE":         {decodeTee, "gateway=1 oif=1", parseTee},
	"TOS":         {decodeSetTOS, setTOSOptions, parseSetTOS},
	"TPROXY":      {decodeTproxy, tproxyOptions, parseTproxy},
	"ULOG":        {parse: parseULOG, options: "ulog-nlgroup=1 ulog-prefix=1 ulog-cprange=1 ulog-qthreshold=1"},
	"TRACE":       remarkKind("TRACE", "", nil),
}

var targets4 = map[string]*kind{
	"ECN":    {decodeSetECN, "ecn-tcp-remove=0 ecn-ip-ect=1", parseSetECN},
	"REJECT": {decodeReject4, "reject-with=1", parseReject4},
	"TTL":    {decodeSetTTL, "ttl-set=1 ttl-inc=1 ttl-dec=1", parseSetTTL},
}

var targets6 = map[string]*kind{
	"DNPT":   {decodeDNPT, "src-pfx=1 dst-pfx=1", parseDNPT},
	"HL":     {decodeSetHL, "hl-set=1 hl-inc=1 hl-dec=1", parseSetHL},
	"REJECT": {decodeReject6, "reject-with=1", parseReject6},
	"SNPT":   {decodeSNPT, "src-pfx=1 dst-pfx=1", parseSNPT},
}
