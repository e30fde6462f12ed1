package platform

// A boundedBuffer keeps what fits; the rest is read and forgotten.
type boundedBuffer struct {
	content []byte
	limit   int
	full    bool
}

func (b *boundedBuffer) Write(data []byte) (int, error) {
	room := min(len(data), b.limit-len(b.content))
	b.content = append(b.content, data[:room]...)
	b.full = b.full || room < len(data)
	return len(data), nil
}
