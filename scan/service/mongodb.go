package service

import (
	"bytes"
	"encoding/binary"
	"math"
)

var mongodbProtocol = protocol{
	name:        "mongodb",
	binary:      true,
	ports:       []uint16{27017, 27018, 27019},
	securePorts: []uint16{27017},
	claims: func(b []byte) bool {
		return bytes.Contains(b, []byte("It looks like you are trying to access MongoDB over HTTP"))
	},
	talk: talkMongoDB,
}

// talkMongoDB asks buildInfo, which needs no login, and how many databases a
// stranger may list.
func talkMongoDB(c *conversation) (Service, bool) {
	info, ok := c.command("buildInfo")
	if !ok {
		return Service{}, false
	}
	s := Service{Name: "mongodb", Product: "MongoDB"}
	s.Version, _ = info["version"].(string)
	if s.Version == "" {
		return s, info["ok"] != nil // FerretDB and others may refuse
	}
	list, ok := c.command("listDatabases")
	switch code, _ := list["code"].(int64); {
	case !ok:
	case code == 13 || code == 18: // Unauthorized, AuthenticationFailed
		s.Access = AccessDenied
	case list["ok"] == float64(1):
		s.Access = AccessOpen
	}
	return s, true
}

// opMsg is the operation of
// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
const opMsg = 2013

// command sends {name: 1, nameOnly: true, $db: "admin"} and returns the reply's first level.
func (c *conversation) command(name string) (map[string]any, bool) {
	var document []byte
	document = append(append(append(document, 0x10), name...), 0, 1, 0, 0, 0)
	if name == "listDatabases" {
		document = append(append(append(document, 0x08), "nameOnly"...), 0, 1)
	}
	document = append(append(append(document, 0x02), "$db"...), 0, 6, 0, 0, 0)
	document = append(append(document, "admin"...), 0, 0)
	message := make([]byte, 0, 64)
	le := binary.LittleEndian
	message = le.AppendUint32(message, uint32(16+4+1+4+len(document)))
	message = le.AppendUint32(message, 1) // request id
	message = le.AppendUint32(message, 0)
	message = le.AppendUint32(message, opMsg)
	message = le.AppendUint32(message, 0) // flags
	message = append(message, 0)          // section: one document
	message = le.AppendUint32(message, uint32(4+len(document)))
	message = append(message, document...)
	answer := c.ask(message, func(b []byte) bool { return len(b) >= 4 && uint32(len(b)) >= le.Uint32(b) })
	if len(answer) < 21 || le.Uint32(answer[12:]) != opMsg || le.Uint32(answer[8:]) != 1 {
		return nil, false
	}
	return document1(answer[21:])
}

// document1 reads the first level of a BSON document (https://bsonspec.org/spec.html):
// strings, numbers and Booleans. Nested documents are passed over.
func document1(b []byte) (map[string]any, bool) {
	le := binary.LittleEndian
	if len(b) < 5 || uint32(len(b)) < le.Uint32(b) || le.Uint32(b) < 5 {
		return nil, false
	}
	b = b[4:le.Uint32(b)]
	out := map[string]any{}
	for len(b) > 1 {
		kind := b[0]
		name, rest, ok := bytes.Cut(b[1:], []byte{0})
		if !ok {
			return out, false
		}
		size := bsonSize(kind, rest)
		if size < 0 || size > len(rest) {
			return out, false
		}
		if v := bsonValue(kind, rest[:size]); v != nil {
			out[string(name)] = v
		}
		b = rest[size:]
	}
	return out, true
}

// bsonSize is the length of a value, -1 for one that can't be passed over.
func bsonSize(kind byte, b []byte) int {
	length := func() int {
		if len(b) < 4 || binary.LittleEndian.Uint32(b) > maxRead {
			return -1
		}
		return int(binary.LittleEndian.Uint32(b))
	}
	switch kind {
	case 0x01, 0x09, 0x11, 0x12: // double, time, timestamp, 64-bit integer
		return 8
	case 0x02: // string
		if n := length(); n >= 1 {
			return 4 + n
		}
	case 0x03, 0x04: // document, array
		if n := length(); n >= 5 {
			return n
		}
	case 0x05: // binary
		if n := length(); n >= 0 {
			return 5 + n
		}
	case 0x07: // object id
		return 12
	case 0x08: // Boolean
		return 1
	case 0x0a: // null
		return 0
	case 0x10: // 32-bit integer
		return 4
	}
	return -1
}

func bsonValue(kind byte, b []byte) any {
	le := binary.LittleEndian
	switch kind {
	case 0x01:
		return math.Float64frombits(le.Uint64(b))
	case 0x02:
		return string(b[4 : len(b)-1])
	case 0x08:
		return b[0] == 1
	case 0x10:
		return int64(int32(le.Uint32(b)))
	case 0x12:
		return int64(le.Uint64(b))
	}
	return nil
}
