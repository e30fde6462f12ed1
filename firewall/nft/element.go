package nft

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/internal/netlink"
)

// Attributes of an element list (enum nft_set_elem_list_attributes) and of an
// element (enum nft_set_elem_attributes).
const (
	listElements = 3 // NFTA_SET_ELEM_LIST_ELEMENTS

	elementKey         = 1  // NFTA_SET_ELEM_KEY
	elementData        = 2  // NFTA_SET_ELEM_DATA
	elementFlags       = 3  // NFTA_SET_ELEM_FLAGS
	elementTimeout     = 4  // NFTA_SET_ELEM_TIMEOUT: milliseconds
	elementExpiration  = 5  // NFTA_SET_ELEM_EXPIRATION: milliseconds left
	elementUserdata    = 6  // NFTA_SET_ELEM_USERDATA
	elementExpression  = 7  // NFTA_SET_ELEM_EXPR
	elementObject      = 9  // NFTA_SET_ELEM_OBJREF
	elementKeyEnd      = 10 // NFTA_SET_ELEM_KEY_END
	elementExpressions = 11 // NFTA_SET_ELEM_EXPRESSIONS

	intervalEnd = 1 // NFT_SET_ELEM_INTERVAL_END
	catchAll    = 2 // NFT_SET_ELEM_CATCHALL
)

// A bound is an element as the kernel keeps it: one end of an interval, or all of an element.
type bound struct {
	firewall.Element
	end, catchAll bool
}

// readElements reads a set's members, or for a huge set only how to ask for one.
func (r *reader) readElements(s *set) error {
	s.Find = func(key []byte) (firewall.Element, bool, error) { return find(r.source, s, key) }
	if !s.Loaded {
		return r.readCatchAll(s)
	}
	var bounds []bound
	err := r.dump(request(getElement, netlink.FlagDump, s.family, names(s.table.Name, s.Name)), newElement,
		func(_ firewall.Family, a *attributes) {
			bounds = s.decodeElements(bounds, a.get(listElements))
		})
	if err != nil && !errors.Is(err, errTorn) {
		s.Loaded = false
		return fmt.Errorf("elements of set %s %s %s: %w", s.family, s.table.Name, s.Name, err)
	}
	s.setElements(bounds)
	if s.malformed {
		s.Loaded = false
		return fmt.Errorf("elements of set %s %s %s: %w", s.family, s.table.Name, s.Name, errElement)
	}
	return err
}

// errElement says that an element isn't what its set says that elements are.
var errElement = errors.New("an element of another length than the set's")

func (s *set) decodeElements(bounds []bound, list []byte) []bound {
	var a attributes
	each(list, listElement, func(b []byte) {
		a.parse(b)
		if len(bounds) == cap(bounds) {
			bounds = slices.Grow(bounds, max(len(bounds), 16)) // append alone would copy a large set over and over
		}
		bounds = append(bounds, s.decodeElement(&a))
	})
	return bounds
}

func (s *set) decodeElement(a *attributes) bound {
	flags := a.uint32(elementFlags)
	e := firewall.Element{
		Key:     plainData(a.get(elementKey)),
		KeyEnd:  plainData(a.get(elementKeyEnd)),
		Timeout: milliseconds(a.uint64(elementTimeout)),
		Expires: milliseconds(a.uint64(elementExpiration)),
		Comment: comment(a.get(elementUserdata)),
		Object:  a.text(elementObject),
	}
	single, list, data := a.get(elementExpression), a.get(elementExpressions), a.get(elementData)
	if single != nil || list != nil {
		e.Steps = s.table.elementSteps(single, list)
	}
	if data != nil {
		s.decodeData(&e, data)
	}
	b := bound{Element: e, end: flags&intervalEnd != 0, catchAll: flags&catchAll != 0}
	s.malformed = s.malformed || a.malformed || !s.fits(&b)
	return b
}

// fits says that keys and data have the lengths that the set declares.
func (s *set) fits(b *bound) bool {
	length := int(s.KeyLength)
	if !b.catchAll && (len(b.Key) != length || b.KeyEnd != nil && len(b.KeyEnd) != length) {
		return false
	}
	switch {
	case b.end:
		return true
	case s.VerdictMap:
		return b.Verdict != nil
	case s.Map && !s.ObjectMap:
		return len(b.Data) == int(s.DataLength)
	}
	return true
}

func (s *set) decodeData(e *firewall.Element, b []byte) {
	var d attributes
	d.parse(b)
	e.Data = d.get(dataValue)
	if !d.has(dataVerdict) {
		return
	}
	switch step := s.table.decodeVerdict(d.get(dataVerdict)).(type) {
	case firewall.Verdict:
		e.Verdict = &step
	default:
		// What the element does is not known: it goes on, after a step that may do anything.
		e.Verdict = &firewall.Verdict{Code: firewall.Continue}
		e.Steps = append(e.Steps, step)
	}
}

// plainData is the value in a struct nft_data attribute.
func plainData(b []byte) []byte {
	var d attributes
	d.parse(b)
	return d.get(dataValue)
}

func (s *set) setElements(bounds []bound) {
	if s.malformed {
		return
	}
	ends := false
	members := bounds[:0]
	for _, b := range bounds {
		if b.catchAll {
			element := b.Element
			s.CatchAll = &element
			continue
		}
		ends = ends || b.KeyEnd != nil
		members = append(members, b)
	}
	slices.SortFunc(members, compareBounds)
	if s.Interval && !ends && len(s.Fields) == 0 {
		s.Elements = fold(members)
	} else {
		s.Elements = singles(members)
	}
	s.Count = uint64(len(s.Elements))
}

// compareBounds orders by key. Where one interval ends and the next begins the
// end comes first. Keys are different but where they are the corners of boxes.
func compareBounds(a, b bound) int {
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	switch {
	case a.end && !b.end:
		return -1
	case b.end && !a.end:
		return 1
	}
	return bytes.Compare(a.KeyEnd, b.KeyEnd)
}

func singles(bounds []bound) []firewall.Element {
	elements := make([]firewall.Element, 0, len(bounds))
	for _, b := range bounds {
		if b.end {
			continue
		}
		if b.KeyEnd == nil {
			b.KeyEnd = b.Key
		}
		elements = append(elements, b.Element)
	}
	return elements
}

// fold makes intervals of sorted starts and ends. An end is the first key
// outside; an interval without one ends before the next start, the last at the
// end of all keys (nft_set_rbtree.c takes the greatest bound that isn't above the key).
func fold(bounds []bound) []firewall.Element {
	elements := make([]firewall.Element, 0, len(bounds)/2+1)
	for i, b := range bounds {
		if b.end {
			continue
		}
		if i+1 == len(bounds) {
			b.KeyEnd = bytes.Repeat([]byte{0xff}, len(b.Key))
		} else {
			b.KeyEnd = before(bounds[i+1].Key)
		}
		if bytes.Compare(b.KeyEnd, b.Key) < 0 {
			b.KeyEnd = b.Key // two of the same start
		}
		elements = append(elements, b.Element)
	}
	return elements
}

// before is the key that precedes key.
func before(key []byte) []byte {
	p := bytes.Clone(key)
	for i := len(p) - 1; i >= 0; i-- {
		p[i]--
		if p[i] != 0xff {
			break
		}
	}
	return p
}

// find asks the kernel for the element of a set that holds a key.
func find(source Source, s *set, key []byte) (firewall.Element, bool, error) {
	start, found, err := point(source, s, key, 0)
	if err != nil || !found {
		return firewall.Element{}, false, err
	}
	if start.KeyEnd != nil {
		return start.Element, true, nil
	}
	start.KeyEnd = start.Key
	if !s.Interval || len(s.Fields) > 0 {
		return start.Element, true, nil
	}
	end, found, err := point(source, s, key, intervalEnd)
	if err != nil {
		return firewall.Element{}, false, err
	}
	start.KeyEnd = bytes.Repeat([]byte{0xff}, len(start.Key))
	if found && bytes.Compare(end.Key, start.Key) > 0 {
		start.KeyEnd = before(end.Key)
	}
	return start.Element, true, nil
}

// point asks for one bound. Flags say which end of an interval, or the catch-all.
func point(source Source, s *set, key []byte, flags byte) (bound, bool, error) {
	var element []byte
	if key != nil {
		element = netlink.AppendAttribute(element, elementKey, netlink.AppendAttribute(nil, dataValue, key))
	}
	element = netlink.AppendAttribute(element, elementFlags, []byte{0, 0, 0, flags})
	list := netlink.AppendAttribute(nil, listElement, element)
	query := netlink.AppendAttribute(names(s.table.Name, s.Name), listElements, list)
	reply, err := source.Netlink(netfilterProtocol, request(getElement, 0, s.family, query))
	if errors.Is(err, fs.ErrNotExist) {
		return bound{}, false, nil
	}
	if err != nil {
		return bound{}, false, fmt.Errorf("element of set %s %s %s: %w", s.family, s.table.Name, s.Name, err)
	}
	var bounds []bound
	asked := *s // several may ask at a time
	asked.malformed = false
	err = netlink.Each(reply, func(m netlink.Message) error {
		if m.Type != newElement || len(m.Data) < nfgenLength {
			return nil
		}
		var a attributes
		a.parse(m.Data[nfgenLength:])
		bounds = asked.decodeElements(bounds, a.get(listElements))
		return nil
	})
	if err == nil && asked.malformed {
		err = fmt.Errorf("element of set %s %s %s: %w", s.family, s.table.Name, s.Name, errElement)
	}
	if err != nil || len(bounds) == 0 {
		return bound{}, false, err
	}
	return bounds[0], true, nil
}

func (r *reader) readCatchAll(s *set) error {
	b, found, err := point(r.source, s, nil, catchAll)
	if err != nil {
		return err
	}
	if found {
		s.CatchAll = &b.Element
	}
	return nil
}
