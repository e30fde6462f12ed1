package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/netglance/netglance/report"
)

// completeWords has a shell complete the words of a list flag, whose words commas part.
func completeWords(c *cobra.Command, flag string, words []string) {
	err := c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndexByte(typed, ',')+1]
		var out []string
		for _, w := range words {
			out = append(out, before+w)
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
	if err != nil {
		panic(err) // the flag is not there: every run would say so
	}
}

// completeFlags completes what only one list of words can be: formats, and what --fail-on takes.
func completeFlags(root *cobra.Command) {
	for _, c := range root.Commands() {
		completeFlags(c)
		if c.Flags().Lookup("fail-on") == nil {
			continue
		}
		switch c.Name() {
		case "firewall":
			completeWords(c, "fail-on", gateWords())
		case "diff":
			completeWords(c, "fail-on", append([]string{"any"}, report.Changes()...))
		}
	}
}

// completeFormat completes --format by the command's own formats.
func completeFormat(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if list := c.Annotations[formatsOf]; list != "" {
		return strings.Split(list, ","), cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp
}
