// Package nft reads nf_tables: raw netlink messages become a firewall.Ruleset,
// and rules print as nft prints them. The decoder is its own, because
// google/nftables leaves out expressions that it doesn't know, so that a rule
// looks broader than it is; here nothing is left out: what isn't understood
// becomes an opaque step.
package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/netglance/netglance/firewall"
	"github.com/netglance/netglance/firewall/xt"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/internal/netlink"
)

// Source answers netlink requests: a host, live or recorded.
type Source interface {
	// Netlink sends one request and returns all messages of the answer, one after
	// the other. It is called from several goroutines at a time.
	Netlink(protocol int, request []byte) ([]byte, error)
}

// Sets finds the ipsets that rules of iptables-nft name.
type Sets interface {
	// ByIndex finds a set by its number in the kernel.
	ByIndex(index uint16) (xt.IPSet, bool)
}

const (
	// attempts is how often a read that was torn by a change is tried.
	attempts = 5
	// firstPause is doubled after each torn attempt.
	firstPause = 5 * time.Millisecond
	// workers is how many dumps run at a time: the kernel's part of one rests on one CPU.
	workers = 2
)

// errTorn says that the rules changed while they were read.
var errTorn = errors.New("the rules changed while they were read")

// Read reads all of nf_tables. It returns what could be read, and what could not.
// sets may be nil.
func Read(source Source, sets Sets) (*firewall.Ruleset, []gaps.Gap) {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		r := newReader(source, sets)
		torn := r.read()
		if !torn {
			return r.ruleset, r.gaps
		}
		if attempt == attempts {
			r.ruleset.Unstable = true
			r.gap("the rules kept changing while they were read, so tables may not fit together", "run it again when the rules are at rest", errTorn)
			return r.ruleset, r.gaps
		}
		time.Sleep(pause)
		pause *= 2
	}
}

// A reader is one attempt to read everything.
type reader struct {
	source  Source
	ruleset *firewall.Ruleset
	gaps    []gaps.Gap
	tables  map[tableKey]*table
	sets    []*set
	chains  []*chain
	// interfaces and ipsets are shared by all tables.
	interfaces *interfaceNames
	ipsets     Sets
}

type tableKey struct {
	family firewall.Family
	name   string
}

// A table is a firewall.Table with its members by name.
type table struct {
	*firewall.Table
	chains  map[string]*firewall.Chain
	sets    map[string]*firewall.Set
	objects map[objectKey]*firewall.Object
	// sizes are the most elements that sets take.
	sizes map[string]uint32
	// interfaces are the names for the numbers in rules.
	interfaces *interfaceNames
	// ipsets is nil where they can't be asked for.
	ipsets Sets
}

type objectKey struct {
	kind uint32
	name string
}

func newReader(source Source, sets Sets) *reader {
	return &reader{
		source:  source,
		ruleset: &firewall.Ruleset{BigEndian: binary.NativeEndian.Uint16([]byte{0, 1}) == 1},
		tables:  map[tableKey]*table{},

		interfaces: &interfaceNames{source: source},
		ipsets:     sets,
	}
}

func (r *reader) gap(reason, hint string, err error) {
	r.gaps = append(r.gaps, gaps.Gap{Source: "nf_tables", Reason: reason, Hint: hint, Err: err})
}

// read reads everything once, and tells whether a change tore it.
func (r *reader) read() (torn bool) {
	before, err := r.generation()
	if err != nil {
		r.refused(err)
		return false
	}
	torn = r.contents()
	after, err := r.generation()
	if err != nil {
		r.refused(err)
		return false
	}
	return torn || before != after
}

// refused tells a kernel without nf_tables, which has no rules to read, from one
// that doesn't let us.
func (r *reader) refused(err error) {
	if absent(err) {
		return
	}
	if errors.Is(err, fs.ErrPermission) {
		r.gap("no permission to read the rules", "run it as root (CAP_NET_ADMIN)", err)
		return
	}
	r.gap("could not be read: "+err.Error(), "", err)
}

// absent says that the kernel has no nf_tables: no netfilter netlink at all, or
// no such subsystem in it (nfnetlink.c answers EINVAL).
func absent(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPROTONOSUPPORT) ||
		errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist)
}

// generation is the number of the ruleset's last change (NFTA_GEN_ID).
func (r *reader) generation() (uint32, error) {
	reply, err := r.source.Netlink(netfilterProtocol, request(getGen, 0, 0, nil))
	if err != nil {
		return 0, fmt.Errorf("nf_tables generation: %w", err)
	}
	var id uint32
	found := false
	err = netlink.Each(reply, func(m netlink.Message) error {
		if m.Type != newGen || len(m.Data) < nfgenLength {
			return nil
		}
		var a attributes
		a.parse(m.Data[nfgenLength:])
		id, found = a.uint32(1), a.has(1) // NFTA_GEN_ID
		return nil
	})
	if err == nil && !found {
		err = errors.New("no generation id in the answer")
	}
	if err != nil {
		return 0, fmt.Errorf("nf_tables generation: %w", err)
	}
	return id, nil
}

// contents reads tables, chains, sets, objects and rules, in the order in which
// they refer to each other.
func (r *reader) contents() (torn bool) {
	steps := []struct {
		what    string
		message uint16
		reply   uint16
		decode  func(family firewall.Family, a *attributes)
	}{
		{"tables", getTable, newTable, r.addTable},
		{"chains", getChain, newChain, r.addChain},
		{"sets", getSet, newSet, r.addSet},
		{"objects", getObject, newObject, r.addObject},
	}
	for _, s := range steps {
		err := r.dump(request(s.message, netlink.FlagDump, 0, nil), s.reply, s.decode)
		if errors.Is(err, errTorn) {
			torn = true
		} else if err != nil {
			r.gap("the "+s.what+" could not be read: "+err.Error(), "", err)
		}
	}
	if r.parallel(len(r.sets), func(i int) error { return r.readElements(r.sets[i]) }) {
		torn = true
	}
	if r.parallel(len(r.chains), func(i int) error { return r.readRules(r.chains[i]) }) {
		torn = true
	}
	if !torn && r.emptied() {
		torn = true
	}
	r.recognizeBackends()
	return torn
}

// emptied says that a chain which was read as empty has rules after all. While
// the kernel commits a change its generation is the new one already, but a table
// that is going away hides the one of the same name that takes its place
// (nf_tables_commit, nf_tables_dump_rules).
func (r *reader) emptied() bool {
	for _, c := range r.chains {
		if len(c.Rules) > 0 || c.uses == 0 {
			continue
		}
		if err := r.readRules(c); err != nil || len(c.Rules) > 0 {
			return true
		}
	}
	return false
}

// parallel calls f for 0 to n-1. An error is a gap, except that something which
// went away since it was listed means a torn read.
func (r *reader) parallel(n int, f func(int) error) (torn bool) {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		mutex sync.Mutex
	)
	failures := map[int]error{}
	work := func() {
		defer group.Done()
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			if err := f(i); err != nil {
				mutex.Lock()
				failures[i] = err
				mutex.Unlock()
			}
		}
	}
	for range min(workers, n) {
		group.Add(1)
		go work()
	}
	group.Wait()
	for i := range n {
		err := failures[i]
		if err == nil {
			continue
		}
		if errors.Is(err, errTorn) || errors.Is(err, fs.ErrNotExist) {
			torn = true
		}
		if !errors.Is(err, errTorn) {
			r.gap(err.Error(), "", err)
		}
	}
	return torn
}

// dump sends a request and decodes the attributes of every message of the
// wanted type. An interrupted dump is decoded to its end and then errTorn.
func (r *reader) dump(request []byte, wanted uint16, decode func(firewall.Family, *attributes)) error {
	reply, err := r.source.Netlink(netfilterProtocol, request)
	if err != nil {
		return err
	}
	var a attributes
	torn := false
	err = netlink.Each(reply, func(m netlink.Message) error {
		torn = torn || m.Interrupted()
		if m.Type != wanted {
			return nil
		}
		if len(m.Data) < nfgenLength {
			return fmt.Errorf("%w: message of %d bytes", netlink.ErrTruncated, len(m.Data))
		}
		a.parse(m.Data[nfgenLength:])
		decode(firewall.Family(m.Data[0]), &a)
		return nil
	})
	if err != nil {
		return err
	}
	if torn {
		return errTorn
	}
	return nil
}
