package service

import (
	"bytes"
)

var mqttProtocol = protocol{
	name:        "mqtt",
	binary:      true,
	ports:       []uint16{1883, 1884},
	securePorts: []uint16{8883},
	talk:        talkMQTT,
}

// Packets of MQTT 3.1.1: a CONNECT with a clean session, no will and no user, a
// SUBSCRIBE to the broker's own version, a DISCONNECT.
var (
	mqttConnect    = mqttPacket(0x10, "\x00\x04MQTT\x04\x02\x00\x05\x00\x09netglance")
	mqttSubscribe  = mqttPacket(0x82, "\x00\x01\x00\x13$SYS/broker/version\x00")
	mqttDisconnect = mqttPacket(0xe0, "")
)

// mqttPacket has fewer than 128 bytes of body.
func mqttPacket(kind byte, body string) []byte {
	return append([]byte{kind, byte(len(body))}, body...)
}

// talkMQTT opens a session without a login, which a broker refuses where it wants
// one, reads the version that Mosquitto and others publish, and leaves.
func talkMQTT(c *conversation) (Service, bool) {
	answer := c.ask(mqttConnect, func(b []byte) bool { return len(b) >= 4 || len(b) > 0 && b[0] != 0x20 })
	if len(answer) < 4 || answer[0] != 0x20 || answer[1] != 2 || answer[2]&^1 != 0 || answer[3] > 5 {
		return Service{}, false
	}
	s := Service{Name: "mqtt"}
	switch answer[3] {
	case 4, 5: // bad user name or password, not authorised
		s.Access = AccessDenied
		return s, true
	case 0:
		s.Access = AccessOpen
	default:
		return s, true
	}
	published := c.ask(mqttSubscribe, func(b []byte) bool { _, ok := publishedVersion(b); return ok })
	if words, ok := publishedVersion(published); ok {
		s.Product, s.Version = brokerVersion(words)
	}
	c.say(mqttDisconnect)
	return s, true
}

// publishedVersion is the payload of the PUBLISH packet for the topic.
func publishedVersion(b []byte) (string, bool) {
	_, after, ok := bytes.Cut(b, []byte("\x00\x13$SYS/broker/version"))
	at := len(b) - len(after) - 21 - 1 // the length's byte
	if !ok || at < 1 || b[at-1]&0xf0 != 0x30 {
		return "", false
	}
	length := int(b[at]) - 21
	if length < 0 || length > len(after) {
		return "", false
	}
	return string(after[:length]), true
}

// brokerVersion reads "mosquitto version 2.0.11".
func brokerVersion(s string) (product, version string) {
	name, number, ok := bytes.Cut([]byte(s), []byte(" version "))
	if !ok {
		return productVersion(s)
	}
	return string(name), string(number)
}
