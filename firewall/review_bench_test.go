package firewall_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/netglance/netglance/firewall"
)

// BenchmarkReview reviews rulesets of other shapes and sizes.
func BenchmarkReview(b *testing.B) {
	shapes := map[string]func(i int) *firewall.Rule{
		"ports": func(i int) *firewall.Rule { return accept("port", onPort(dport, uint16(i))) },
		"sources": func(i int) *firewall.Rule {
			return drop("source", firewall.Compare{Value: saddr, Data: binary.BigEndian.AppendUint32(nil, uint32(i)*2654435761)})
		},
		"sources and ports": func(i int) *firewall.Rule {
			return accept("both", firewall.Compare{Value: saddr, Data: binary.BigEndian.AppendUint32(nil, uint32(i)*2654435761)}, onPort(dport, uint16(i%977)))
		},
		"sources, then ports": func(i int) *firewall.Rule {
			if i%2 == 0 {
				return drop("source", firewall.Compare{Value: saddr, Data: binary.BigEndian.AppendUint32(nil, uint32(i)*2654435761)})
			}
			return accept("port", onPort(dport, uint16(i)))
		},
	}
	for name, shape := range shapes {
		for _, count := range []int{1000, 10000} {
			b.Run(fmt.Sprintf("%s/%d", name, count), func(b *testing.B) {
				var list []*firewall.Rule
				for i := range count {
					list = append(list, shape(i))
				}
				evaluator := firewall.NewEvaluator(host(firewall.Drop, list...))
				for b.Loop() {
					if r := evaluator.Review(); len(r.Incomplete) > 0 {
						b.Fatal("not followed")
					}
				}
			})
		}
	}
}
