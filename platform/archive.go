package platform

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A recording on disk is the line "netglance recording 1\n" (the number is the
// format's version) and a gzip stream of records. A record is a byte, the kind of
// call, and four fields: key, error text, name of the error's cause, content. A field is its
// length as an unsigned varint and its bytes. The first records are of kind 'M',
// a name and its value; the last is of kind 'E', and its content is the decimal
// number of records before it: without it the recording is truncated.
const (
	magic         = "netglance recording "
	formatVersion = 1
	callEnd       = 'E'
)

// Limits of a recording, which is untrusted input.
const (
	maxArchive    = 256 << 20
	maxUnpacked   = 1 << 30
	maxRecords    = 1 << 20
	maxKey        = 64 << 10
	maxErrorText  = 16 << 10
	maxCauseName  = 32
	maxVersionLen = 8 // digits
)

// What OpenRecording says of a file that is none, or of one that it can't read.
var (
	ErrNotRecording = errors.New("not a netglance recording")
	ErrNewer        = errors.New("written by a newer netglance")
	ErrTruncated    = errors.New("truncated")
	ErrByteOrder    = errors.New("recorded on a machine with another byte order")
)

// OpenRecording reads a recorded host from a file.
func OpenRecording(name string) (*Recording, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: a directory: %w", name, ErrNotRecording)
	}
	if err == nil && info.Size() > maxArchive {
		return nil, fmt.Errorf("%s: over %d MiB: %w", name, maxArchive>>20, ErrTooLarge)
	}
	r, err := readRecording(io.LimitReader(file, maxArchive))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func readRecording(input io.Reader) (*Recording, error) {
	buffered := bufio.NewReader(input)
	if err := readMagic(buffered); err != nil {
		return nil, err
	}
	unzipped, err := gzip.NewReader(buffered)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w after 0 records", ErrTruncated)
	}
	if err != nil {
		return nil, fmt.Errorf("damaged after 0 records: %w", err)
	}
	return readRecords(unzipped, maxUnpacked)
}

// readRecords reads the unpacked stream, which may be limit bytes long.
func readRecords(input io.Reader, limit int64) (*Recording, error) {
	limited := &io.LimitedReader{R: input, N: limit + 1}
	records := &recordReader{limited: limited, input: bufio.NewReaderSize(limited, 64<<10)}
	r := &Recording{answers: map[call]answer{}}
	for {
		kind, key, a, err := records.next()
		if err != nil {
			return nil, records.failure(err)
		}
		switch kind {
		case callEnd:
			if string(a.content) != strconv.Itoa(records.count) {
				return nil, fmt.Errorf("%d records where %q were written: %w", records.count, a.content, ErrTruncated)
			}
			if _, err := records.input.ReadByte(); err != io.EOF { // also checks gzip's sum
				return nil, fmt.Errorf("damaged after the last record: %v", err)
			}
			if err := r.Meta.check(); err != nil {
				return nil, err
			}
			return r, nil
		case callMeta:
			if err := r.Meta.set(key, string(a.content)); err != nil {
				return nil, err
			}
		default: // a kind that this version doesn't know is never asked for
			r.answers[call{kind, key}] = a
		}
		if records.count++; records.count > maxRecords {
			return nil, fmt.Errorf("over %d records: %w", maxRecords, ErrTooLarge)
		}
	}
}

func readMagic(input *bufio.Reader) error {
	line := make([]byte, 0, len(magic)+maxVersionLen)
	for {
		c, err := input.ReadByte()
		if err != nil || len(line) == cap(line) {
			return ErrNotRecording
		}
		if c == '\n' {
			break
		}
		line = append(line, c)
	}
	digits, found := strings.CutPrefix(string(line), magic)
	version, err := strconv.ParseUint(digits, 10, 32)
	switch {
	case !found || err != nil || version == 0:
		return ErrNotRecording
	case version > formatVersion:
		return fmt.Errorf("%w: version %d, this one reads up to %d", ErrNewer, version, formatVersion)
	}
	return nil
}

type recordReader struct {
	limited *io.LimitedReader
	input   *bufio.Reader
	count   int
}

func (r *recordReader) next() (kind byte, key string, a answer, err error) {
	if kind, err = r.input.ReadByte(); err != nil {
		return 0, "", a, err
	}
	var fields [4][]byte
	for i, limit := range [...]uint64{maxKey, maxErrorText, maxCauseName, maxUnpacked} {
		if fields[i], err = r.field(limit); err != nil {
			return 0, "", a, err
		}
	}
	a = answer{content: fields[3], err: errorFrom(string(fields[1]), string(fields[2]))}
	return kind, string(fields[0]), a, nil
}

// field reads a length and as many bytes. Memory grows with what is there, not
// with what the length claims.
func (r *recordReader) field(limit uint64) ([]byte, error) {
	length, err := binary.ReadUvarint(r.input)
	if err != nil {
		return nil, err
	}
	if length > limit {
		return nil, fmt.Errorf("a field of %d bytes where at most %d may be: %w", length, limit, ErrTooLarge)
	}
	if length <= 4096 {
		field := make([]byte, length)
		_, err := io.ReadFull(r.input, field)
		return field, err
	}
	var field bytes.Buffer
	_, err = io.CopyN(&field, r.input, int64(length))
	return field.Bytes(), err
}

func (r *recordReader) failure(err error) error {
	if r.limited.N <= 0 {
		return fmt.Errorf("after %d records: %w", r.count, ErrTooLarge)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w after %d records", ErrTruncated, r.count)
	}
	return fmt.Errorf("damaged after %d records: %w", r.count, err)
}

// WriteTo writes the recording as an archive; equal recordings are equal bytes.
func (r *Recording) WriteTo(output io.Writer) (int64, error) {
	if err := r.checkSize(); err != nil {
		return 0, err
	}
	counted := &countingWriter{output: output}
	fmt.Fprintf(counted, "%s%d\n", magic, formatVersion)
	zipped, _ := gzip.NewWriterLevel(counted, gzip.DefaultCompression)
	records := 0
	write := func(kind byte, key string, a answer) {
		text, name := errorFields(a.err)
		text = text[:min(len(text), maxErrorText)]
		b := appendField([]byte{kind}, key)
		b = appendField(b, text)
		b = appendField(b, name)
		b = binary.AppendUvarint(b, uint64(len(a.content)))
		zipped.Write(b) // an error stays until Close
		zipped.Write(a.content)
	}
	for _, f := range r.Meta.fields() {
		write(callMeta, f.name, answer{content: []byte(f.value)})
		records++
	}
	calls := slices.SortedFunc(maps.Keys(r.answers), func(a, b call) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		return strings.Compare(a.key, b.key)
	})
	for _, c := range calls {
		write(c.kind, c.key, r.answers[c])
		records++
	}
	write(callEnd, "", answer{content: []byte(strconv.Itoa(records))})
	err := zipped.Close()
	return counted.written, err
}

// checkSize refuses to write what could not be read again.
func (r *Recording) checkSize() error {
	size := 0
	for c, a := range r.answers {
		size += len(c.key) + len(a.content) + 64
		if len(c.key) > maxKey {
			return fmt.Errorf("recording: a key of %d bytes: %w", len(c.key), ErrTooLarge)
		}
	}
	if size > maxUnpacked || len(r.answers) > maxRecords/2 {
		return fmt.Errorf("recording: %d answers of %d MiB: %w", len(r.answers), size>>20, ErrTooLarge)
	}
	return nil
}

func appendField(b []byte, field string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

type countingWriter struct {
	output  io.Writer
	written int64
}

func (w *countingWriter) Write(b []byte) (int, error) {
	n, err := w.output.Write(b)
	w.written += int64(n)
	return n, err
}

type metaField struct{ name, value string }

func (m Meta) fields() []metaField {
	return []metaField{
		{"os", m.OS},
		{"arch", m.Arch},
		{"big_endian", strconv.FormatBool(m.BigEndian)},
		{"time", m.Time.UTC().Format(time.RFC3339Nano)},
		{"version", m.Version},
	}
}

func (m *Meta) set(name, value string) (err error) {
	switch name {
	case "os":
		m.OS = value
	case "arch":
		m.Arch = value
	case "big_endian":
		m.BigEndian, err = strconv.ParseBool(value)
	case "time":
		m.Time, err = time.Parse(time.RFC3339Nano, value)
	case "version":
		m.Version = value
	}
	if err != nil {
		return fmt.Errorf("damaged: %q is no %s", value, name)
	}
	return nil
}

func (m Meta) check() error {
	if m.OS == "" {
		return errors.New("damaged: it does not say its operating system")
	}
	if m.BigEndian != bigEndian {
		return fmt.Errorf("%w (%s): read it on a machine with the same", ErrByteOrder, m.Arch)
	}
	return nil
}

// bigEndian is this machine's byte order.
var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1
