package nft

import "github.com/netglance/netglance/firewall"

// Object attributes (enum nft_object_attributes).
const (
	objectTable    = 1 // NFTA_OBJ_TABLE
	objectName     = 2 // NFTA_OBJ_NAME
	objectType     = 3 // NFTA_OBJ_TYPE
	objectData     = 4 // NFTA_OBJ_DATA
	objectHandle   = 6 // NFTA_OBJ_HANDLE
	objectUserdata = 8 // NFTA_OBJ_USERDATA
)

// objectKinds are nft's words for NFT_OBJECT_*.
var objectKinds = [...]string{
	1: "counter", 2: "quota", 3: "ct helper", 4: "limit", 5: "ct count", 6: "tunnel",
	7: "ct timeout", 8: "secmark", 9: "ct expectation", 10: "synproxy",
}

const (
	objectQuota = 2 // NFT_OBJECT_QUOTA
	objectLimit = 4 // NFT_OBJECT_LIMIT
)

func objectKind(number uint32) string {
	if number > 0 && int(number) < len(objectKinds) {
		return objectKinds[number]
	}
	return "unknown object"
}

func (r *reader) addObject(family firewall.Family, a *attributes) {
	t := r.tables[tableKey{family, a.text(objectTable)}]
	if t == nil {
		return
	}
	kind := a.uint32(objectType)
	o := &firewall.Object{
		Table:  t.Table,
		Name:   a.text(objectName),
		Kind:   objectKind(kind),
		Handle: a.uint64(objectHandle),
		Data:   a.get(objectData),
	}
	key := objectKey{kind, o.Name}
	if t.objects[key] != nil {
		return
	}
	var data attributes
	data.parse(o.Data)
	switch kind {
	case objectLimit:
		o.Over = data.uint32(limitFlags)&1 != 0
	case objectQuota:
		o.Over = data.uint32(quotaFlags)&1 != 0
	}
	t.Objects = append(t.Objects, o)
	t.objects[key] = o
}
