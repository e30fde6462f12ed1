package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/platform"
)

func newRecord(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "record FILE",
		Short: "Write everything that netglance reads of this host into one file",
		Long: `record reads the host once and keeps the kernel's own answers in one compressed file.
Every other command takes it with --host and answers as on the host itself. The file
holds command lines and rules: only its owner may read it.`,
		Example: "  sudo netglance record web-1.ng\n  netglance firewall --host web-1.ng",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.record(args[0]) },
	}
}

func (a *app) record(file string) error {
	host, err := a.openHost()
	if err != nil {
		return err
	}
	recorder := platform.NewRecorder(host, toolVersion())
	s := readAll(recorder)
	if err := recorder.Recording().Save(file); err != nil {
		return recordFile(file, err)
	}
	a.notes(s.about)
	if a.quiet {
		return nil
	}
	_, err = fmt.Fprintf(a.err, "%s: %d sockets, %d tables. Look at it with: netglance firewall --host %s\n", file, len(s.sockets), len(s.rules.Tables), file)
	return internal(err)
}
