package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/report"
)

func newListeners(a *app) *cobra.Command {
	var chosen selection
	var sort string
	c := &cobra.Command{
		Use:     "listeners",
		Aliases: []string{"ls"},
		Short:   "Who listens on this host",
		Long: `listeners shows every socket that packets can reach, with all its owners: like
"ss -lntup", with units, containers, and UDP clients told from servers.`,
		Example: "  sudo netglance listeners\n  netglance listeners -t -p 22,80,8000-8100\n  netglance listeners --json | jq '.listeners[].port'\n  sudo netglance listeners --all-namespaces     the containers' too",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := chosen.parse(); err != nil {
				return err
			}
			if err := a.checkSpaces(); err != nil {
				return err
			}
			return a.listeners(chosen, sort)
		},
	}
	chosen.register(c.Flags())
	a.registerOne(c.Flags())
	a.registerAll(c.Flags())
	c.Flags().StringVar(&sort, "sort", "protocol", "order by `COLUMN`: "+strings.Join(sortColumns, ", "))
	return c
}

func (a *app) listeners(chosen selection, sort string) error {
	order, ok := sortOrders[sort]
	if !ok {
		return usage("use one of: "+strings.Join(sortColumns, ", "), "--sort %q: no such column", sort)
	}
	s, err := a.sockets()
	if err != nil {
		return err
	}
	all := chosen.sockets(s.sockets)
	slices.SortStableFunc(all, order)
	if a.json {
		return internal(report.ListenersJSON(a.out, s.about, all))
	}
	a.notes(s.about)
	return internal(report.ListenersText(a.out, all, a.style()))
}

// sockets are those of the namespaces that the flags ask for.
func (a *app) sockets() (*survey, error) {
	if a.allNamespaces {
		return a.socketsEverywhere()
	}
	host, err := a.openHost()
	if err != nil {
		return nil, err
	}
	return a.placed(readSockets(host)), nil
}

func (a *app) socketsEverywhere() (*survey, error) {
	all, unseen, err := a.everywhere()
	if err != nil {
		return nil, err
	}
	var hosts []listeners.Host
	for _, n := range all {
		hosts = append(hosts, a.machine.in(n))
	}
	s := &survey{about: describe(a.machine.host)}
	s.about.Namespaces = len(all)
	for i, r := range listeners.ReadEach(hosts) {
		for _, l := range listeners.Serving(r.Listeners) {
			l.Namespace = all[i].Name
			s.sockets = append(s.sockets, l)
		}
		if i == 0 {
			s.about.Gaps = append(r.Gaps, unseen...)
		} else {
			s.about.Gaps = append(s.about.Gaps, gapsOf(all[i], r.Gaps, s.about.Gaps)...)
		}
	}
	return s, nil
}

var sortColumns = []string{"protocol", "port", "address", "process", "user"}

var sortOrders = map[string]func(a, b listeners.Listener) int{
	"protocol": func(a, b listeners.Listener) int { return 0 }, // as they are read
	"port":     func(a, b listeners.Listener) int { return cmp.Compare(a.Port, b.Port) },
	"address":  func(a, b listeners.Listener) int { return a.Address.Compare(b.Address) },
	"process":  func(a, b listeners.Listener) int { return strings.Compare(firstOwner(a).Name, firstOwner(b).Name) },
	"user": func(a, b listeners.Listener) int {
		return cmp.Or(strings.Compare(firstOwner(a).User, firstOwner(b).User), cmp.Compare(a.UID, b.UID))
	},
}

func firstOwner(l listeners.Listener) listeners.Process {
	if len(l.Owners) == 0 {
		return listeners.Process{}
	}
	return l.Owners[0]
}
