package platform

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// Bounds of what is kept of an archive, which somebody else wrote.
const (
	maxImageFiles = 4 << 20
	maxKept       = 1 << 20   // of one file, in bytes; larger ones are no configuration
	maxKeptInAll  = 512 << 20 // of all
	maxLayer      = 64 << 30  // of the layers, read over
	maxManifest   = 16 << 20
)

// ErrNotImage says that a file is no archive of an image.
var ErrNotImage = errors.New("neither a directory nor a tar archive of an image")

// openArchive reads "docker save" (manifest.json), an OCI layout (index.json), or
// the files of a root directory.
func openArchive(name string) (*Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	image, err := readArchive(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrNotImage, err)
	}
	return image, nil
}

// A seekable file is read by place.
type seekable interface {
	io.ReadSeeker
	io.ReaderAt
}

func readArchive(f seekable) (*Image, error) {
	a := &imageArchive{file: f, members: map[string]member{}}
	if err := a.index(); err != nil {
		return nil, err
	}
	return a.open()
}

// An imageArchive is a tar file whose members are read by name.
type imageArchive struct {
	file    seekable
	members map[string]member
}

type member struct{ offset, size int64 }

func (a *imageArchive) index() error {
	if zipped, err := compressed(a.file); err != nil || zipped {
		return err // its members can't be read by name: it is a root directory's
	}
	r := tar.NewReader(a.file)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		at, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if len(a.members) >= maxImageFiles {
			return ErrTooLarge
		}
		a.members[cleanMember(h.Name)] = member{at, h.Size}
	}
}

// compressed looks at the first bytes: gzip's (RFC 1952) or zstd's (RFC 8878), which isn't read.
func compressed(f io.ReadSeeker) (bool, error) {
	var magic [4]byte
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	n, err := io.ReadFull(f, magic[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return isGzip(magic[:n]), err
}

func isGzip(b []byte) bool { return bytes.HasPrefix(b, []byte{0x1f, 0x8b}) }

func cleanMember(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// section is a member's content.
func (a *imageArchive) section(name string) (io.Reader, error) {
	m, ok := a.members[cleanMember(name)]
	if !ok {
		return nil, fmt.Errorf("%q is not in it: %w", name, fs.ErrNotExist)
	}
	return io.NewSectionReader(a.file, m.offset, m.size), nil
}

func (a *imageArchive) json(name string, into any) error {
	r, err := a.section(name)
	if err != nil {
		return err
	}
	if err := json.NewDecoder(io.LimitReader(r, maxManifest)).Decode(into); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	return nil
}

func (a *imageArchive) open() (*Image, error) {
	has := func(name string) bool { _, ok := a.members[name]; return ok }
	switch {
	case has("manifest.json"):
		return a.saved()
	case has("index.json"):
		return a.layout()
	}
	l := newLayers()
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if err := l.apply(a.file); err != nil {
		return nil, err
	}
	return &Image{tree: l, Close: func() error { return nil }}, nil
}

// saved is what "docker save" writes: the first image of it.
func (a *imageArchive) saved() (*Image, error) {
	var manifest []struct {
		Config string
		Layers []string
	}
	if err := a.json("manifest.json", &manifest); err != nil {
		return nil, err
	}
	if len(manifest) == 0 {
		return nil, errors.New("manifest.json names no image")
	}
	return a.image(manifest[0].Config, manifest[0].Layers)
}

// A descriptor is OCI's name for a blob (image-spec, descriptor.md).
type descriptor struct {
	MediaType string
	Digest    string
	Platform  *struct{ OS string }
}

func (d descriptor) file() string { return "blobs/" + strings.Replace(d.Digest, ":", "/", 1) }

// layout is an OCI layout (image-spec, image-layout.md): its first image for Linux.
func (a *imageArchive) layout() (*Image, error) {
	next := "index.json"
	for range 4 { // an index may name another
		var m struct {
			Manifests []descriptor
			Config    descriptor
			Layers    []descriptor
		}
		if err := a.json(next, &m); err != nil {
			return nil, err
		}
		if len(m.Manifests) == 0 {
			var layers []string
			for _, l := range m.Layers {
				layers = append(layers, l.file())
			}
			return a.image(m.Config.file(), layers)
		}
		next = m.Manifests[0].file()
		for _, d := range m.Manifests {
			if d.Platform != nil && d.Platform.OS == "linux" {
				next = d.file()
				break
			}
		}
	}
	return nil, errors.New("its indexes name each other")
}

func (a *imageArchive) image(config string, layers []string) (*Image, error) {
	var c struct {
		Config struct{ Entrypoint, Cmd []string }
	}
	if err := a.json(config, &c); err != nil {
		return nil, err
	}
	l := newLayers()
	for _, name := range layers {
		r, err := a.section(name)
		if err != nil {
			return nil, err
		}
		if err := l.apply(r); err != nil {
			return nil, fmt.Errorf("layer %q: %w", name, err)
		}
	}
	return &Image{tree: l, Close: func() error { return nil }, Start: append(c.Config.Entrypoint, c.Config.Cmd...)}, nil
}

// layers are the files of an image, the content of configuration among them.
type layers struct {
	files map[string]*imageFile
	kept  int
}

type imageFile struct {
	mode     fs.FileMode
	target   string
	content  []byte
	children map[string]bool
	// left says that the content was not kept.
	left bool
}

func newLayers() *layers {
	return &layers{files: map[string]*imageFile{".": {mode: fs.ModeDir, children: map[string]bool{}}}}
}

// Whiteouts (image-spec, layer.md): a file that hides what lower layers have.
const whiteout, opaque = ".wh.", ".wh..wh..opq"

// apply puts a layer over those before it.
func (l *layers) apply(r io.Reader) error {
	buffered := bufio.NewReader(r)
	r = buffered
	magic, _ := buffered.Peek(4)
	switch {
	case isGzip(magic):
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return err
		}
		r = unzipped
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return fmt.Errorf("compressed by zstd: save it uncompressed or by gzip: %w", errors.ErrUnsupported)
	}
	t := tar.NewReader(io.LimitReader(r, maxLayer))
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.add(h, t); err != nil {
			return err
		}
	}
}

func (l *layers) add(h *tar.Header, content io.Reader) error {
	name := cleanMember(h.Name)
	dir, base := path.Dir(name), path.Base(name)
	switch {
	case name == "":
		return nil
	case base == opaque:
		if d := l.files[dir]; d != nil {
			for child := range d.children {
				l.remove(path.Join(dir, child))
			}
		}
		return nil
	case strings.HasPrefix(base, whiteout):
		l.remove(path.Join(dir, strings.TrimPrefix(base, whiteout)))
		return nil
	}
	f := &imageFile{mode: h.FileInfo().Mode(), target: h.Linkname}
	switch h.Typeflag {
	case tar.TypeDir:
		f.children = map[string]bool{}
		if old := l.files[name]; old != nil && old.children != nil {
			f.children = old.children
		}
	case tar.TypeLink:
		other := l.files[cleanMember(h.Linkname)]
		if other == nil {
			return nil // a name for what isn't there
		}
		f = other
	case tar.TypeReg:
		if err := l.keep(f, name, h.Size, content); err != nil {
			return err
		}
	}
	return l.put(name, f)
}

// keep takes the content of what may be configuration.
func (l *layers) keep(f *imageFile, name string, size int64, content io.Reader) error {
	if f.left = !mayConfigure(name) || size > maxKept; f.left {
		return nil
	}
	if l.kept += int(size); l.kept > maxKeptInAll {
		return ErrTooLarge
	}
	var err error
	f.content, err = io.ReadAll(content)
	return err
}

// mayConfigure says in which directories configuration stands.
func mayConfigure(name string) bool {
	for _, dir := range []string{"etc/", "usr/etc/", "usr/local/etc/", "usr/local/nginx/conf/", "usr/local/apache2/conf/", "usr/lib/systemd/", "lib/systemd/", "usr/local/lib/systemd/",
		"usr/lib/firewalld/", "usr/share/postgresql/", "var/lib/postgresql/", "run/systemd/"} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	return false
}

func (l *layers) put(name string, f *imageFile) error {
	if len(l.files) >= maxImageFiles {
		return ErrTooLarge
	}
	if old := l.files[name]; old != nil && old.children != nil && f.children == nil {
		l.remove(name)
	}
	l.files[name] = f
	for child := name; child != "."; child = path.Dir(child) {
		dir := path.Dir(child)
		parent := l.files[dir]
		if parent == nil || parent.children == nil {
			parent = &imageFile{mode: fs.ModeDir, children: map[string]bool{}}
			l.files[dir] = parent
		}
		if parent.children[path.Base(child)] {
			break
		}
		parent.children[path.Base(child)] = true
	}
	return nil
}

func (l *layers) remove(name string) {
	f := l.files[name]
	if f == nil {
		return
	}
	for child := range f.children {
		l.remove(path.Join(name, child))
	}
	delete(l.files, name)
	if parent := l.files[path.Dir(name)]; parent != nil {
		delete(parent.children, path.Base(name))
	}
}

func (l *layers) at(op, name string) (*imageFile, error) {
	if f := l.files[name]; f != nil {
		return f, nil
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

func (l *layers) lstat(name string) (fs.FileMode, error) {
	f, err := l.at("lstat", name)
	if err != nil {
		return 0, err
	}
	return f.mode, nil
}

func (l *layers) readlink(name string) (string, error) {
	f, err := l.at("readlink", name)
	if err == nil && f.mode&fs.ModeSymlink == 0 {
		err = &fs.PathError{Op: "readlink", Path: name, Err: syscall.EINVAL}
	}
	if err != nil {
		return "", err
	}
	return f.target, nil
}

func (l *layers) readDir(name string) (names []string, err error) {
	f, err := l.at("open", name)
	if err == nil && f.children == nil {
		err = &fs.PathError{Op: "readdirent", Path: name, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	for child := range f.children {
		names = append(names, child)
	}
	return names, nil
}

func (l *layers) readFile(name string) ([]byte, error) {
	f, err := l.at("open", name)
	switch {
	case err != nil:
		return nil, err
	case !f.mode.IsRegular():
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EINVAL}
	case f.left:
		return nil, fmt.Errorf("%s: not kept of the archive: %w", name, ErrTooLarge)
	}
	return f.content, nil
}
