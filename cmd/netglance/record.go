package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/correlate"
	"github.com/netglance/netglance/gaps"
	"github.com/netglance/netglance/platform"
)

func newRecord(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "record FILE",
		Short: "Write everything that netglance reads of this host into one file",
		Long: `record reads the host once, all its network namespaces too, and keeps the kernel's own answers in one compressed file.
Every other command takes it with --host and answers as on the host itself. The file
holds command lines and rules: only its owner may read it. With - it goes to standard output.`,
		Example: `  sudo netglance record web-1.ng
  netglance firewall --host web-1.ng
  ssh web-1 sudo netglance record - > web-1.ng`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.record(args[0]) },
	}
}

func (a *app) record(file string) error {
	if _, terminal := a.terminal(); file == "-" && terminal {
		return usage("redirect it: netglance record - > host.ng", "a recording is nothing for a terminal")
	}
	host, err := a.openHost()
	if err != nil {
		return err
	}
	recorder := platform.NewRecorder(host, toolVersion())
	s, err := a.readEverything(recorder)
	if err != nil {
		return err
	}
	if err := a.save(recorder.Recording(), file); err != nil {
		return recordFile(file, err)
	}
	a.notes(s.about)
	if a.quiet || file == "-" {
		return nil
	}
	spaces := ""
	if s.about.Namespaces > 1 {
		spaces = fmt.Sprintf(", %d more network namespaces", s.about.Namespaces-1)
	}
	_, err = fmt.Fprintf(a.err, "%s: %d sockets, %d tables%s. Look at it with: netglance firewall --host %s\n", file, len(s.sockets), len(s.rules.Tables), spaces, file)
	return internal(err)
}

// readEverything reads the recorder's host and all its network namespaces, and asks
// all that an answer may ask.
func (a *app) readEverything(recorder *platform.Recorder) (*survey, error) {
	inner := *a
	inner.open = func(string) (platform.Host, error) { return recorder, nil }
	if recorder.OS() != "linux" {
		return readAll(recorder), nil
	}
	surveys, err := inner.lookEverywhere()
	if err != nil {
		return nil, err
	}
	// Of a recording that lacks the others, a recording of one namespace can be made.
	about := &surveys[0].about
	about.Gaps = slices.DeleteFunc(about.Gaps, func(g gaps.Gap) bool {
		return a.host != "" && len(surveys) == 1 && errors.Is(g.Err, platform.ErrNotRecorded)
	})
	for _, s := range surveys {
		in, _ := s.input(nil)
		correlate.Analyze(in)
	}
	return together(surveys), nil
}

func (a *app) save(r *platform.Recording, file string) error {
	if file != "-" {
		return r.Save(file)
	}
	_, err := r.WriteTo(a.out)
	return err
}
