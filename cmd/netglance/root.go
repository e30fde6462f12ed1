package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/netglance/netglance/internal/lazyregexp"
	"github.com/netglance/netglance/listeners"
	"github.com/netglance/netglance/platform"
	"github.com/netglance/netglance/report"
)

// options are the global flags.
type options struct {
	host string
	// json says that standard output gets JSON; outputs are all that were asked for.
	json    bool
	formats []string
	outputs []output
	noColor bool
	quiet   bool
	verbose bool
}

// An app is one run of netglance.
type app struct {
	world
	options
	spaceFlags
	// machine is the host that was opened, and namespace the one of it that is looked at.
	machine   *machine
	namespace listeners.Namespace
	fileFlags
}

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, w world) int {
	root := newRoot(&app{world: w})
	root.SetArgs(args)
	root.SetIn(w.in)
	root.SetOut(w.out)
	root.SetErr(w.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var ended endedElsewhere
	if errors.As(err, &ended) {
		return int(ended)
	}
	f := as(err)
	fmt.Fprintf(w.err, "netglance: %s\n", report.Clean(f.Error()))
	for _, line := range f.details {
		fmt.Fprintf(w.err, "  %s\n", report.Clean(line))
	}
	if f.hint != "" {
		fmt.Fprintf(w.err, "  %s\n", report.Clean(f.hint))
	}
	return f.code
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "netglance",
		Short: "Who owns each port of this host, who can reach it, by which rule, and is that meant?",
		Long: `netglance tells, for every port of a host, who owns it, exactly which sources
can reach it and by which rule, and whether that is intended. It only reads.`,
		Example: `  sudo netglance firewall                       what is open here, to whom, and why
  sudo netglance firewall explain 22/tcp        the way of a packet through the rules
  netglance listeners                           who listens
  sudo netglance scan                           what answers, here or on the local network
  sudo netglance record web-1.ng                take the host along …
  netglance firewall --host web-1.ng            … and look at it elsewhere`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := noEmptyFlag(c); err != nil {
				return err
			}
			return a.checkFormat(c)
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.host, "host", "", "answer for the host recorded in `FILE` instead of this one")
	flags.BoolVar(&a.json, "json", false, "JSON on standard output (same as --format json)")
	flags.StringArrayVar(&a.formats, "format", nil, "output `FORMAT`: text or json; a command that has more says so")
	flags.BoolVar(&a.noColor, "no-color", false, "no colors (also with NO_COLOR set)")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "just the answer: no header, no notes")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "every reason, and what to do about it")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("see: "+c.CommandPath()+" --help", "%s", parsing.ReplaceAllString(err.Error(), ""))
	})
	root.AddCommand(newFirewall(a), newListeners(a), newPolicy(a), newDiff(a), newRecord(a), newScan(a), newVersion(a), newMan())
	completeFlags(root)
	if err := root.RegisterFlagCompletionFunc("format", completeFormat); err != nil {
		panic(err) // the flag is not there: every run would say so
	}
	return root
}

// parsing is what package strconv puts before the reason why a number is none.
var parsing = lazyregexp.New(`strconv\.\w+: parsing "[^"]*": `)

// noEmptyFlag refuses what an unset variable leaves of a script's --host "$FILE"
// or --fail-on "$LABELS": this host would be looked at instead, or nothing be judged.
func noEmptyFlag(c *cobra.Command) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if text := f.Value.String(); err == nil && (text == "" || text == "[]") {
			err = usage("give it a value, or leave it out", "--%s is empty", f.Name)
		}
	})
	return err
}

func (a *app) openHost() (platform.Host, error) {
	host, err := a.open(a.host)
	if err != nil {
		return nil, hostFile(a.host, err)
	}
	a.machine = newMachine(host)
	return a.enter(host)
}

func (a *app) style() report.Style {
	width, terminal := a.terminal()
	color := terminal && !a.noColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
	return report.Style{Color: color, Width: width, Quiet: a.quiet, Verbose: a.verbose}
}

// notes tells on standard error what could not be read, where the answer's text doesn't.
func (a *app) notes(h report.Host) {
	if !a.json && !a.quiet {
		report.GapsText(a.err, h, report.Style{})
	}
}

// version may be set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

// toolVersion is that, or the module's version as the go command stamped it.
func toolVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
