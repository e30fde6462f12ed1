package platform

import (
	"encoding/binary"
	"slices"
	"testing"
)

func TestOnlySocketsOfAProcessAreLookedAt(t *testing.T) {
	var list []byte
	for _, one := range [][2]uint32{{0, 1}, {3, fdIsSocket}, {4, 5}, {7, fdIsSocket}} { // 1 is a file, 5 a kqueue
		list = binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(list, one[0]), one[1])
	}
	if fds := socketDescriptors(list[:len(list)-1]); !slices.Equal(fds, []int32{3}) {
		t.Errorf("cut: %v", fds)
	}
	if fds := socketDescriptors(list); !slices.Equal(fds, []int32{3, 7}) {
		t.Errorf("%v", fds)
	}
}

func TestHoldersAreToldByTheKernelsNameOfTheSocket(t *testing.T) {
	info := make([]byte, socketInfoSize)
	binary.NativeEndian.PutUint64(info[160:], 0xfedcba9876543210)
	text := appendHolder(nil, 640, 3, info)
	text = appendHolder(text, 640, 4, info[:167]) // too short to tell
	text = appendUnread(text, 641, "EPERM")
	if string(text) != "640 3 18364758544493064720\n641 ! EPERM\n" {
		t.Errorf("%q", text)
	}
}
