package service

import (
	"time"
)

var telnetProtocol = protocol{
	name:        "telnet",
	ports:       []uint16{23, 2323},
	securePorts: []uint16{992},
	greets:      true,
	claims:      negotiates,
	talk:        talkTelnet,
}

// Commands of RFC 854.
const (
	iac, dont, do, wont, will, sb, se = 255, 254, 253, 252, 251, 250, 240
)

// negotiates says that the first bytes are an option's.
func negotiates(b []byte) bool {
	return len(b) >= 3 && b[0] == iac && b[1] >= will && b[1] <= dont
}

// talkTelnet refuses every option that the server names, which then shows its login.
func talkTelnet(c *conversation) (Service, bool) {
	greeting := c.greeting(greetingExpected)
	if !negotiates(greeting) {
		return Service{}, false
	}
	var shown []byte
	for range 5 {
		words, answers := refuse(c.heard)
		c.heard = nil
		shown = append(shown, words...)
		if len(answers) > 0 && c.say(answers) != nil {
			break
		}
		if c.more(time.Now().Add(2*quiet)) != nil {
			break
		}
		c.rest()
	}
	return Service{Name: "telnet", Info: firstLine(text(string(shown), maxBanner)), Banner: string(shown)}, true
}

// refuse takes the options out of what a server said, and answers DO with WONT and
// WILL with DONT.
func refuse(b []byte) (words, answers []byte) {
	for i := 0; i < len(b); i++ {
		if b[i] != iac {
			words = append(words, b[i])
			continue
		}
		if i+1 >= len(b) {
			break
		}
		switch command := b[i+1]; {
		case command == iac:
			words = append(words, iac)
			i++
		case command == sb:
			for i+1 < len(b) && !(b[i] == iac && b[i+1] == se) {
				i++
			}
			i++
		case command >= will && i+2 < len(b):
			if command == do {
				answers = append(answers, iac, wont, b[i+2])
			}
			if command == will {
				answers = append(answers, iac, dont, b[i+2])
			}
			i += 2
		default:
			i++
		}
	}
	return words, answers
}
