package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/report"
)

// An output is a format, and the file that it goes to; standard output if it names none.
type output struct{ format, file string }

// formatsOf is the annotation of a command that has more formats than text and json;
// one with toFiles writes them to files too.
const formatsOf, toFiles = "formats", "files"

func firewallFormats() []string {
	names := []string{"text"}
	for _, f := range report.Formats() {
		names = append(names, f.Name)
	}
	return names
}

func formatList() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-12s %s\n", "text", "people at a terminal")
	for _, f := range report.Formats() {
		fmt.Fprintf(&b, "  %-12s %s\n", f.Name, f.For)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// checkFormat reads --format and --json: one format for standard output, and any
// number of files where the command has them.
func (a *app) checkFormat(c *cobra.Command) error {
	known, files := []string{"text", "json"}, c.Annotations[toFiles] != ""
	if list := c.Annotations[formatsOf]; list != "" {
		known = strings.Split(list, ",")
	}
	for _, word := range a.formats {
		format, file, toFile := strings.Cut(word, "=")
		switch {
		case !slices.Contains(known, format):
			return usage("use --format "+strings.Join(known[:len(known)-1], ", ")+" or "+known[len(known)-1], "--format %q: no such format", format)
		case toFile && !files:
			return usage("send standard output to a file", "--format %q: %s writes to standard output alone", word, c.CommandPath())
		case toFile && file == "":
			return usage("write --format "+format+"=FILE", "--format %q names no file", word)
		case slices.ContainsFunc(a.outputs, func(o output) bool { return o.file == file }):
			if file == "" {
				return usage("give the others a file: --format "+format+"=FILE", "standard output takes one format, not %s too", format)
			}
			return usage("give each its own", "--format: two formats for the file %q", file)
		}
		a.outputs = append(a.outputs, output{format, file})
	}
	stdout := slices.IndexFunc(a.outputs, func(o output) bool { return o.file == "" })
	switch {
	case a.json && stdout >= 0 && a.outputs[stdout].format != "json":
		return usage("use one of them", "--json and --format %s exclude each other", a.outputs[stdout].format)
	case a.json && stdout < 0:
		a.outputs = append(a.outputs, output{format: "json"})
	case len(a.outputs) == 0:
		a.outputs = append(a.outputs, output{format: "text"})
	}
	a.json = a.prints("json")
	return nil
}

// prints says that standard output gets the format.
func (a *app) prints(format string) bool { return slices.Contains(a.outputs, output{format: format}) }

// writeFirewall writes every format that was asked for. Files are replaced whole,
// so that who reads one meanwhile sees the old or the new.
func (a *app) writeFirewall(f report.Firewall) error {
	for _, o := range a.outputs {
		if o.file == "" {
			if err := a.writeOne(a.out, o.format, f, a.style()); err != nil {
				return internal(err)
			}
			continue
		}
		var b bytes.Buffer
		if err := a.writeOne(&b, o.format, f, report.Style{Verbose: a.verbose, Quiet: a.quiet}); err != nil {
			return internal(err)
		}
		if err := replaceFile(o.file, b.Bytes()); err != nil {
			return reportFile(o.file, err)
		}
	}
	return nil
}

func (a *app) writeOne(w io.Writer, format string, f report.Firewall, s report.Style) error {
	if format == "text" {
		return report.FirewallText(w, f.Host, f.Ports, f.Judgement, s)
	}
	found, err := f.Write(w, format)
	if !found {
		return fmt.Errorf("no format %q", format)
	}
	return err
}

// replaceFile writes a file beside the old one and puts it in its place. What is no
// ordinary file (a pipe, /dev/stderr) is written to.
func replaceFile(name string, content []byte) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, content, 0o644)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
