package nft

import (
	"fmt"

	"github.com/netglance/netglance/firewall"
)

// Attributes of limit (enum nft_limit_attributes).
const (
	limitRate  = 1 // NFTA_LIMIT_RATE
	limitUnit  = 2 // NFTA_LIMIT_UNIT: seconds
	limitBurst = 3 // NFTA_LIMIT_BURST
	limitType  = 4 // NFTA_LIMIT_TYPE: 0 packets, 1 bytes
	limitFlags = 5 // NFTA_LIMIT_FLAGS: 1 inverts
)

func (d *decoder) limit(e *expression) bool {
	d.add(firewall.Chance{Kind: firewall.Rate, Name: "limit", Text: limitText(&e.attributes)})
	return e.only(bits(6)) && e.uint32(limitType) <= 1 && e.uint32(limitFlags) <= 1
}

// Attributes of quota (enum nft_quota_attributes).
const (
	quotaBytes = 1 // NFTA_QUOTA_BYTES
	quotaFlags = 2 // NFTA_QUOTA_FLAGS: 1 inverts, 2 is depleted
	quotaUsed  = 4 // NFTA_QUOTA_CONSUMED
)

func (d *decoder) quota(e *expression) bool {
	d.add(firewall.Chance{Kind: firewall.History, Name: "quota", Text: quotaText(&e.attributes)})
	return e.only(bits(quotaUsed)) && e.uint32(quotaFlags) <= 3
}

// Attributes of connlimit (enum nft_connlimit_attributes).
const (
	connlimitCount = 1 // NFTA_CONNLIMIT_COUNT
	connlimitFlags = 2 // NFTA_CONNLIMIT_FLAGS: 1 inverts
)

func (d *decoder) connlimit(e *expression) bool {
	d.add(firewall.Chance{Kind: firewall.History, Name: "ct count", Text: connlimitText(&e.attributes)})
	return e.only(bits(connlimitFlags)) && e.uint32(connlimitFlags) <= 1
}

// Attributes of hash (enum nft_hash_attributes).
const (
	hashSreg    = 1 // NFTA_HASH_SREG
	hashDreg    = 2 // NFTA_HASH_DREG
	hashLength  = 3 // NFTA_HASH_LEN
	hashModulus = 4 // NFTA_HASH_MODULUS
	hashSeed    = 5 // NFTA_HASH_SEED
	hashOffset  = 6 // NFTA_HASH_OFFSET
	hashType    = 7 // NFTA_HASH_TYPE: 0 jenkins, 1 symmetric
)

func (d *decoder) hash(e *expression) bool {
	v := firewall.Unpredictable{
		Kind: firewall.Random, Name: "jhash", Length: 4,
		Modulus: e.uint32(hashModulus), Offset: e.uint32(hashOffset),
	}
	if e.uint32(hashType) == 1 {
		v.Name = "symhash"
	}
	v.Text = fmt.Sprintf("%s mod %d", v.Name, v.Modulus)
	return e.only(bits(hashType)) && e.uint32(hashType) <= 1 && d.registers.set(e.uint32(hashDreg), v, 4)
}

// Attributes of numgen (enum nft_ng_attributes).
const (
	numgenDreg    = 1 // NFTA_NG_DREG
	numgenModulus = 2 // NFTA_NG_MODULUS
	numgenType    = 3 // NFTA_NG_TYPE: 0 counts up, 1 random
	numgenOffset  = 4 // NFTA_NG_OFFSET
)

func (d *decoder) numgen(e *expression) bool {
	v := firewall.Unpredictable{
		Kind: firewall.History, Name: "numgen inc", Length: 4,
		Modulus: e.uint32(numgenModulus), Offset: e.uint32(numgenOffset),
	}
	if e.uint32(numgenType) == 1 {
		v.Kind, v.Name = firewall.Random, "numgen random"
	}
	v.Text = fmt.Sprintf("%s mod %d", v.Name, v.Modulus)
	return e.only(bits(numgenOffset)) && e.uint32(numgenType) <= 1 && d.registers.set(e.uint32(numgenDreg), v, 4)
}

// Attributes of osf (enum nft_osf_attributes).
const (
	osfDreg  = 1 // NFTA_OSF_DREG
	osfTTL   = 2 // NFTA_OSF_TTL: a byte
	osfFlags = 3 // NFTA_OSF_FLAGS: 1 asks for the version
)

// osf is the name of the sender's operating system as guessed from its SYN, 16 bytes.
func (d *decoder) osf(e *expression) bool {
	v := firewall.Unpredictable{Kind: firewall.Sender, Name: "osf", Text: "osf name", Length: 16}
	return e.only(bits(osfFlags)) && d.registers.set(e.uint32(osfDreg), v, v.Length)
}

// Attributes of xfrm (enum nft_xfrm_attributes).
const (
	xfrmDreg  = 1 // NFTA_XFRM_DREG
	xfrmKey   = 2 // NFTA_XFRM_KEY
	xfrmDir   = 3 // NFTA_XFRM_DIR: a byte
	xfrmSpnum = 4 // NFTA_XFRM_SPNUM
)

func (d *decoder) xfrm(e *expression) bool {
	v := firewall.OpaqueValue{Name: "ipsec", Data: e.raw, Length: 4}
	if key := e.uint32(xfrmKey); key == 2 || key == 4 { // NFT_XFRM_KEY_DADDR_IP6, _SADDR_IP6
		v.Length = 16
	}
	return e.only(bits(xfrmSpnum)) && d.registers.set(e.uint32(xfrmDreg), v, v.Length)
}

// Attributes of tunnel (enum nft_tunnel_attributes).
const (
	tunnelKey  = 1 // NFTA_TUNNEL_KEY: 0 path, 1 id
	tunnelDreg = 2 // NFTA_TUNNEL_DREG
)

func (d *decoder) tunnel(e *expression) bool {
	v := firewall.OpaqueValue{Name: "tunnel", Data: e.raw, Length: 1}
	if e.uint32(tunnelKey) == 1 {
		v.Length = 4
	}
	return e.only(bits(3)) && d.registers.set(e.uint32(tunnelDreg), v, v.Length)
}
