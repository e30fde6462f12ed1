package service

import (
	"bufio"
	"bytes"
	"fmt"
	"net/textproto"
	"strings"
)

var rtspProtocol = protocol{
	name:        "rtsp",
	ports:       []uint16{554, 8554},
	securePorts: []uint16{322},
	claims:      func(b []byte) bool { return bytes.HasPrefix(b, []byte("RTSP/")) },
	talk:        talkRTSP,
}

// talkRTSP asks for the options, and describes the root: a camera that does so
// unasked for a login shows its picture to everybody.
func talkRTSP(c *conversation) (Service, bool) {
	in := textproto.NewReader(bufio.NewReader(c))
	status, header, ok := c.rtsp(in, "OPTIONS", 1)
	if !ok {
		return Service{}, false
	}
	s := Service{Name: "rtsp"}
	s.Product, s.Version = productVersion(header.Get("Server"))
	if strings.HasPrefix(status, "401") {
		s.Access = AccessDenied
		return s, true
	}
	status, _, ok = c.rtsp(in, "DESCRIBE", 2)
	switch {
	case ok && strings.HasPrefix(status, "401"):
		s.Access = AccessDenied
	case ok && strings.HasPrefix(status, "200"):
		s.Access = AccessOpen
	}
	return s, true
}

func (c *conversation) rtsp(in *textproto.Reader, method string, sequence int) (status string, header textproto.MIMEHeader, ok bool) {
	request := fmt.Sprintf("%s rtsp://%s/ RTSP/1.0\r\nCSeq: %d\r\nUser-Agent: netglance\r\n\r\n", method, c.peer.host(), sequence)
	if c.say([]byte(request)) != nil {
		return "", nil, false
	}
	line, err := in.ReadLine()
	if err != nil {
		return "", nil, false
	}
	protocol, status, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(protocol, "RTSP/") {
		return "", nil, false
	}
	header, _ = in.ReadMIMEHeader()
	return status, header, true
}
