package platform

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An item is a file of a test's archive: content, or a link to a target, or a directory.
type item struct{ name, content, target string }

func packed(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Mode: 0o644, Size: int64(len(i.content)), Typeflag: tar.TypeReg}
		switch {
		case i.target != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, i.target
		case i.name[len(i.name)-1] == '/':
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(i.content)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return b.Bytes()
}

func zipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

func imageFrom(t *testing.T, content []byte) (*Image, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return OpenImage(name)
}

// unpacked is a directory with the items.
func unpacked(t *testing.T, items ...item) *Image {
	t.Helper()
	dir := t.TempDir()
	for _, i := range items {
		name := filepath.Join(dir, i.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		switch {
		case i.target != "":
			err = os.Symlink(i.target, name)
		case i.name[len(i.name)-1] == '/':
			err = os.MkdirAll(name, 0o755)
		default:
			err = os.WriteFile(name, []byte(i.content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	image, err := OpenImage(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { image.Close() })
	return image
}

func text(t *testing.T, i *Image, name string) string {
	t.Helper()
	content, err := i.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// /etc/passwd is the reader's own, never the image's.
var linked = []item{
	{name: "etc/real", content: "inside"},
	{name: "etc/absolute", target: "/etc/real"},
	{name: "etc/up", target: "../../../../etc/real"},
	{name: "etc/escape", target: "../../../../../../etc/passwd"},
	{name: "etc/loop", target: "loop"},
	{name: "lib", target: "usr/lib"},
	{name: "usr/lib/systemd/system/ssh.service", content: "unit"},
	{name: "etc/systemd/system/multi-user.target.wants/ssh.service", target: "/lib/systemd/system/ssh.service"},
}

func TestLinksAreFollowedInsideOfTheImageOnly(t *testing.T) {
	archived, err := imageFrom(t, packed(t, linked...))
	if err != nil {
		t.Fatal(err)
	}
	for kind, i := range map[string]*Image{"directory": unpacked(t, linked...), "archive": archived} {
		for name, want := range map[string]string{
			"/etc/real": "inside", "etc/absolute": "inside", "/etc/up": "inside", "/etc/../../etc/real": "inside", "/lib/systemd/system/ssh.service": "unit",
			"/etc/systemd/system/multi-user.target.wants/ssh.service": "unit",
		} {
			if got := text(t, i, name); got != want {
				t.Errorf("%s: %s is %q, want %q", kind, name, got, want)
			}
		}
		if _, err := i.ReadFile("/etc/escape"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a link leads out of the image: %v", kind, err)
		}
		if _, err := i.ReadFile("/etc/loop"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a link to itself: %v", kind, err)
		}
		if _, err := i.ReadFile("/etc"); err == nil {
			t.Errorf("%s: a directory was read as a file", kind)
		}
		names, err := i.ReadDir("/lib/systemd/system")
		if err != nil || fmt.Sprint(names) != "[ssh.service]" {
			t.Errorf("%s: %v %v", kind, names, err)
		}
		if target, err := i.Readlink("/etc/systemd/system/multi-user.target.wants/ssh.service"); err != nil || target != "/lib/systemd/system/ssh.service" {
			t.Errorf("%s: the link's target is %q, %v", kind, target, err)
		}
		if i.Exists("/etc/escape") || !i.Exists("/etc/up") || i.Exists("/nowhere") {
			t.Errorf("%s: what exists is wrong", kind)
		}
	}
}

func TestUpperLayersHideLowerOnes(t *testing.T) {
	lower := packed(t, item{name: "etc/"}, item{name: "etc/a", content: "1"}, item{name: "etc/b", content: "1"}, item{name: "etc/d/x", content: "1"}, item{name: "etc/e/x", content: "1"}, item{name: "etc/f/x", content: "1"})
	upper := zipped(t, packed(t, item{name: "./etc/b", content: "2"}, item{name: "etc/.wh.a"}, item{name: "etc/d/.wh..wh..opq"}, item{name: "etc/d/y", content: "2"}, item{name: "etc/.wh.e"}, item{name: "etc/f", content: "now a file"}))
	config := `{"config":{"Entrypoint":["/usr/sbin/nginx"],"Cmd":["-g","daemon off;"]}}`
	saved := packed(t, item{name: "manifest.json", content: `[{"Config":"c.json","Layers":["1/layer.tar","2/layer.tar"]}]`}, item{name: "c.json", content: config},
		item{name: "1/layer.tar", content: string(lower)}, item{name: "2/layer.tar", content: string(upper)})
	layout := packed(t, item{name: "oci-layout", content: `{}`},
		item{name: "index.json", content: `{"manifests":[{"digest":"sha256:w","platform":{"os":"windows"}},{"digest":"sha256:i","platform":{"os":"linux"}}]}`},
		item{name: "blobs/sha256/i", content: `{"config":{"digest":"sha256:c"},"layers":[{"digest":"sha256:1"},{"digest":"sha256:2"}]}`},
		item{name: "blobs/sha256/c", content: config}, item{name: "blobs/sha256/1", content: string(lower)}, item{name: "blobs/sha256/2", content: string(upper)})
	for kind, content := range map[string][]byte{"docker save": saved, "OCI layout": layout} {
		i, err := imageFrom(t, content)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if fmt.Sprint(i.Start) != "[/usr/sbin/nginx -g daemon off;]" {
			t.Errorf("%s: it starts %q", kind, i.Start)
		}
		if names, _ := i.ReadDir("/etc"); fmt.Sprint(names) != "[b d f]" {
			t.Errorf("%s: /etc has %v", kind, names)
		}
		if names, _ := i.ReadDir("/etc/d"); fmt.Sprint(names) != "[y]" || text(t, i, "/etc/b") != "2" || text(t, i, "/etc/f") != "now a file" {
			t.Errorf("%s: %v %s %s", kind, names, text(t, i, "/etc/b"), text(t, i, "/etc/f"))
		}
	}
}

func TestWhatIsNoImageIsRefused(t *testing.T) {
	for name, content := range map[string][]byte{
		"text":                       []byte("not an archive, but text that is as long as a block of tar's would be"),
		"half of a layer":            packed(t, item{name: "etc/a", content: strings.Repeat("x", 600)})[:900],
		"a manifest of nothing":      packed(t, item{name: "manifest.json", content: "[]"}),
		"a layer that isn't there":   packed(t, item{name: "manifest.json", content: `[{"Config":"c","Layers":["x"]}]`}, item{name: "c", content: "{}"}),
		"an index that names itself": packed(t, item{name: "index.json", content: `{"manifests":[{"digest":"sha256:i"}]}`}, item{name: "blobs/sha256/i", content: `{"manifests":[{"digest":"sha256:i"}]}`}),
	} {
		if _, err := imageFrom(t, content); !errors.Is(err, ErrNotImage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenImage(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file at all: %v", err)
	}
}

func FuzzImageArchive(f *testing.F) {
	layer := packed(f, item{name: "etc/"}, item{name: "etc/a", content: "1"}, item{name: "etc/l", target: "../etc/a"}, item{name: "etc/.wh.a"}, item{name: "d/.wh..wh..opq"})
	f.Add(layer)
	f.Add(zipped(f, layer))
	f.Add(packed(f, item{name: "manifest.json", content: `[{"Config":"c","Layers":["l"]}]`}, item{name: "c", content: `{}`}, item{name: "l", content: string(layer)}))
	f.Add(packed(f, item{name: "index.json", content: `{"manifests":[{"digest":"sha256:i"}]}`}, item{name: "blobs/sha256/i", content: `{"config":{"digest":"sha256:i"},"layers":[]}`}))
	f.Fuzz(func(t *testing.T, content []byte) {
		i, err := readArchive(bytes.NewReader(content))
		if err != nil {
			return
		}
		for _, name := range []string{"/", "/etc", "/etc/a", "/etc/l", "/etc/l/../a"} {
			i.ReadDir(name)
			i.ReadFile(name)
			i.Readlink(name)
		}
	})
}
