package nft

import "github.com/netglance/netglance/firewall"

// Attributes of lookup (enum nft_lookup_attributes).
const (
	lookupSet   = 1 // NFTA_LOOKUP_SET
	lookupSreg  = 2 // NFTA_LOOKUP_SREG
	lookupDreg  = 3 // NFTA_LOOKUP_DREG: 0 is the verdict
	lookupFlags = 5 // NFTA_LOOKUP_FLAGS: 1 inverts
)

func (d *decoder) lookup(e *expression) bool {
	set := d.table.sets[string(cString(e.get(lookupSet)))]
	flags := e.uint32(lookupFlags)
	if set == nil || !e.only(bits(lookupFlags)) || flags > 1 {
		return false
	}
	key, ok := d.registers.get(e.uint32(lookupSreg), set.KeyLength)
	if !ok {
		return false
	}
	if !e.has(lookupDreg) {
		d.add(firewall.InSet{Invert: flags == 1, Value: key, Set: set})
		return true
	}
	dreg := e.uint32(lookupDreg)
	if dreg == 0 {
		d.add(firewall.VerdictMap{Key: key, Map: set})
		return set.VerdictMap
	}
	data := firewall.MapLookup{Key: key, Map: set, Length: set.DataLength}
	return set.Map && d.registers.set(dreg, data, set.DataLength)
}

// Attributes of dynset (enum nft_dynset_attributes).
const (
	dynsetSet         = 1  // NFTA_DYNSET_SET_NAME
	dynsetOp          = 3  // NFTA_DYNSET_OP
	dynsetKey         = 4  // NFTA_DYNSET_SREG_KEY
	dynsetData        = 5  // NFTA_DYNSET_SREG_DATA
	dynsetTimeout     = 6  // NFTA_DYNSET_TIMEOUT: milliseconds
	dynsetExpression  = 7  // NFTA_DYNSET_EXPR
	dynsetFlags       = 9  // NFTA_DYNSET_FLAGS: 1 inverts, 2 says that there are expressions
	dynsetExpressions = 10 // NFTA_DYNSET_EXPRESSIONS
)

// dynsetOperations are nft's words for enum nft_dynset_ops.
var dynsetOperations = [...]string{"add", "update", "delete"}

func (d *decoder) dynset(e *expression) bool {
	set := d.table.sets[string(cString(e.get(dynsetSet)))]
	op, flags := e.uint32(dynsetOp), e.uint32(dynsetFlags)
	if set == nil || !e.only(bits(dynsetExpressions)) || int64(op) >= int64(len(dynsetOperations)) || flags > 3 {
		return false
	}
	key, ok := d.registers.get(e.uint32(dynsetKey), set.KeyLength)
	if !ok {
		return false
	}
	step := firewall.DynSet{Operation: dynsetOperations[op], Set: set, Key: key, Invert: flags&1 != 0}
	if e.has(dynsetData) {
		if step.Data, ok = d.registers.get(e.uint32(dynsetData), set.DataLength); !ok {
			return false
		}
	}
	step.Steps = d.table.elementSteps(e.get(dynsetExpression), e.get(dynsetExpressions))
	d.add(step)
	return true
}

// Attributes of objref (enum nft_objref_attributes).
const (
	objrefType = 1 // NFTA_OBJREF_IMM_TYPE
	objrefName = 2 // NFTA_OBJREF_IMM_NAME
	objrefSreg = 3 // NFTA_OBJREF_SET_SREG
	objrefSet  = 4 // NFTA_OBJREF_SET_NAME
)

func (d *decoder) objref(e *expression) bool {
	if !e.only(bits(5)) {
		return false
	}
	if !e.has(objrefSet) {
		kind := e.uint32(objrefType)
		object := d.table.objects[objectKey{kind, e.text(objrefName)}]
		if object != nil {
			d.add(firewall.ObjectRef{Kind: object.Kind, Object: object})
		}
		return object != nil
	}
	set := d.table.sets[string(cString(e.get(objrefSet)))]
	if set == nil || !set.ObjectMap {
		return false
	}
	key, ok := d.registers.get(e.uint32(objrefSreg), set.KeyLength)
	if ok {
		d.add(firewall.ObjectRef{Kind: set.DataType, Key: key, Map: set})
	}
	return ok
}
