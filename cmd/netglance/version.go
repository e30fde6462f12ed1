package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "The version of netglance",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return internal(json.NewEncoder(a.out).Encode(map[string]string{
					"schema_version": "1", "name": "netglance", "version": toolVersion(), "go": runtime.Version(),
				}))
			}
			_, err := fmt.Fprintf(a.out, "netglance %s (%s, %s/%s)\n", toolVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return internal(err)
		},
	}
}
