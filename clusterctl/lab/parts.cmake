# The lab's switch, namespaces, QMP client and accelerator probe; included by CMakeLists.txt.

ray_library(NAME lab_parts
    SOURCES accel.c accel_probe.c netns.c netns_link.c qmp.c qmp_message.c switch.c switch_apply.c switch_client.c switch_ctl.c switch_fault.c switch_forward.c
        switch_frame.c switch_mac.c switch_main.c switch_pcap.c switch_pool.c switch_port.c
        switch_queue.c switch_stats.c
    HEADERS switch_state.h
    LINKS base pkg:yyjson)

foreach(test IN ITEMS switch_ctl switch_fault switch_frame switch_mac switch_pcap switch_queue)
    ray_test(NAME lab_${test} SOURCES ${test}_test.c LINKS lab_parts)
endforeach()
ray_fuzz(NAME lab_qmp SOURCES qmp_fuzz.c LINKS lab_parts)
ray_fuzz(NAME lab_switch_frame SOURCES switch_frame_fuzz.c LINKS lab_parts)
ray_fuzz(NAME lab_switch_ctl SOURCES switch_ctl_fuzz.c LINKS lab_parts)
ray_test(NAME lab_switch SOURCES switch_test.c switch_test_lab.c LINKS lab_parts)
ray_test(NAME lab_switch_process SOURCES switch_process_test.c LINKS lab_parts)
ray_test(NAME lab_netns SOURCES netns_test.c LINKS lab_parts LABEL hosted)
ray_test(NAME lab_qmp SOURCES qmp_test.c LINKS lab_parts LABEL hosted)
ray_test(NAME lab_accel SOURCES accel_test.c LINKS lab_parts LABEL hosted)
ray_test(NAME lab_wire SOURCES switch_wire_test.c LINKS lab_parts LABEL hosted TIMEOUT 600)
