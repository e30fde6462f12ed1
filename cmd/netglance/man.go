package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan writes the manual, for those who package netglance.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages of all commands into a directory",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return reportFile(args[0], err)
			}
			root := c.Root()
			asLiterals(root)
			root.DisableAutoGenTag = true // no date: the same pages from the same source
			header := &doc.GenManHeader{Title: "NETGLANCE", Section: "1", Source: "netglance " + toolVersion(), Manual: "netglance"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return reportFile(args[0], err)
			}
			return nil
		},
	}
}

// asLiterals indents what the help's texts indent so far that Markdown, which the
// pages are made of, leaves their lines as they are.
func asLiterals(c *cobra.Command) {
	lines := strings.Split(c.Long, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "  ") {
			lines[i] = "    " + line
		}
	}
	c.Long = strings.Join(lines, "\n")
	for _, inner := range c.Commands() {
		asLiterals(inner)
	}
}
