package rtnetlink

import (
	"fmt"
	"slices"
	"testing"
)

func TestGroupsOfBothFamilies(t *testing.T) {
	igmp := "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n" +
		"1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n" +
		"2\teth0      :     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
	igmp6 := "2    eth0            ff0200000000000000000000000000fb     1 00000004 0\n"
	var got []string
	for _, g := range append(decodeIGMP([]byte(igmp)), decodeIGMP6([]byte(igmp6))...) {
		got = append(got, fmt.Sprint(g.Interface, " ", g.Address))
	}
	want := []string{"1 224.0.0.1", "2 224.0.0.251", "2 224.0.0.1", "2 ff02::fb"}
	if !slices.Equal(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

func FuzzGroups(f *testing.F) {
	f.Add([]byte("1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"))
	f.Add([]byte("2    eth0            ff0200000000000000000000000000fb     1 00000004 0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, g := range append(decodeIGMP(data), decodeIGMP6(data)...) {
			if !g.Address.IsValid() {
				t.Errorf("a group without an address from %q", data)
			}
		}
	})
}
