package report

import (
	"net/url"
	"path/filepath"
)

// fileURI is a file's name as a URI reference: relative names stay so.
func fileURI(name string) string {
	u := url.URL{Path: filepath.ToSlash(filepath.Clean(name))}
	if filepath.IsAbs(name) {
		u.Scheme = "file"
	}
	return u.String()
}
