package platform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// An Image is the files of a host that doesn't run: a directory, or an archive of
// one. Names are the image's own, absolute ones; symbolic links are followed
// inside of it and never out. There is no kernel to ask.
type Image struct {
	tree imageTree
	// Close ends the reading.
	Close func() error
	// Start is the command that a container of the image starts; empty if it has none.
	Start []string
}

// An imageTree has files by clean names without a leading slash; "." is the root.
// It follows no links.
type imageTree interface {
	lstat(name string) (fs.FileMode, error)
	readlink(name string) (string, error)
	readDir(name string) ([]string, error)
	readFile(name string) ([]byte, error)
}

// OpenImage opens a directory, or a tar archive of a root directory, of "docker
// save" or of an OCI layout.
func OpenImage(name string) (*Image, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return openArchive(name)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &Image{tree: directory{root}, Close: root.Close}, nil
}

// maxLinks is how many symbolic links are followed for one name, as Linux does
// (include/linux/namei.h, MAXSYMLINKS).
const maxLinks = 40

// resolve is a name without symbolic links: in all but its last part, unless that
// is to be followed too.
func (i *Image) resolve(name string, last bool) (string, error) {
	rest := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	at, links := ".", 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		mode, err := i.tree.lstat(next)
		if err != nil {
			return "", err
		}
		if mode&fs.ModeSymlink == 0 || len(rest) == 0 && !last {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
		}
		target, err := i.tree.readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "."
		}
		rest = append(strings.Split(target, "/"), rest...)
		if len(rest) > maxParts {
			return "", &fs.PathError{Op: "open", Path: name, Err: syscall.ENAMETOOLONG}
		}
	}
	return at, nil
}

// maxParts bounds a name whose links name long ones.
const maxParts = 4096

func (i *Image) ReadFile(name string) ([]byte, error) {
	at, err := i.resolve(name, true)
	if err != nil {
		return nil, err
	}
	return i.tree.readFile(at)
}

// ReadDir is the sorted names in a directory.
func (i *Image) ReadDir(name string) ([]string, error) {
	at, err := i.resolve(name, true)
	if err != nil {
		return nil, err
	}
	names, err := i.tree.readDir(at)
	slices.Sort(names)
	return names, err
}

func (i *Image) Readlink(name string) (string, error) {
	at, err := i.resolve(name, false)
	if err != nil {
		return "", err
	}
	return i.tree.readlink(at)
}

// Exists says that a file or directory is there, at the end of all links.
func (i *Image) Exists(name string) bool {
	_, err := i.resolve(name, true)
	return err == nil
}

var errNoKernel = fmt.Errorf("an image has no kernel to ask: %w", errors.ErrUnsupported)

// Netlink and SocketHolders are of hosts that run.
func (i *Image) Netlink(int, []byte) ([]byte, error) { return nil, errNoKernel }
func (i *Image) SocketHolders() ([]byte, error)      { return nil, errNoKernel }

// A directory is an image that is unpacked or mounted. The root refuses names that
// lead out of it, also if links change meanwhile.
type directory struct{ root *os.Root }

func (d directory) lstat(name string) (fs.FileMode, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return 0, err
	}
	return info.Mode(), nil
}

func (d directory) readlink(name string) (string, error) { return d.root.Readlink(name) }

func (d directory) readDir(name string) ([]string, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d directory) readFile(name string) ([]byte, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe must not block
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(&fs.PathError{Op: "read", Path: name, Err: syscall.EINVAL}, err)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s: %w", name, ErrTooLarge)
	}
	return content, err
}
