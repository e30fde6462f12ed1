package service

import (
	"bytes"
	"encoding/binary"
)

var amqpProtocol = protocol{
	name:        "amqp",
	binary:      true,
	ports:       []uint16{5672},
	securePorts: []uint16{5671},
	claims:      func(b []byte) bool { return bytes.HasPrefix(b, []byte("AMQP")) },
	talk:        talkAMQP,
}

// talkAMQP reads the Connection.Start that a server of AMQP 0-9-1 sends, whose
// properties are "product" and "version", each a long string.
func talkAMQP(c *conversation) (Service, bool) {
	answer := c.ask([]byte("AMQP\x00\x00\x09\x01"), func(b []byte) bool {
		return len(b) >= 8 && (b[0] == 'A' || len(b) >= 7+int(min(binary.BigEndian.Uint32(b[3:]), maxRead))+1)
	})
	s := Service{Name: "amqp"}
	if bytes.HasPrefix(answer, []byte("AMQP")) && len(answer) >= 8 {
		return s, true // it wants another version
	}
	// A frame of type method on channel 0: class 10, method 10.
	if len(answer) < 12 || !bytes.HasPrefix(answer, []byte{1, 0, 0}) || !bytes.Equal(answer[7:11], []byte{0, 10, 0, 10}) {
		return Service{}, false
	}
	s.Product, s.Version = amqpProperty(answer, "product"), amqpProperty(answer, "version")
	return s, true
}

func amqpProperty(b []byte, name string) string {
	_, value, ok := bytes.Cut(b, append(append([]byte{byte(len(name))}, name...), 'S'))
	if !ok || len(value) < 4 {
		return ""
	}
	length := binary.BigEndian.Uint32(value)
	if uint64(length)+4 > uint64(len(value)) {
		return ""
	}
	return string(value[4 : 4+length])
}
