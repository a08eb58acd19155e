// SPDX-License-Identifier: GPL-2.0-only
/* JSON for programs; see show.h. */
#include "show.h"

#include <json-c/json.h>
#include <stdio.h>

static void add(struct json_object *to, const char *name, uint64_t value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static void add_list(struct json_object *to, const char *name, const struct counter *list,
		     unsigned nr)
{
	struct json_object *object = json_object_new_object();

	for (unsigned i = 0; i < nr; i++)
		add(object, list[i].name, list[i].value);
	json_object_object_add(to, name, object);
}

static struct json_object *record_object(const struct record *record)
{
	struct json_object *object = json_object_new_object();

	add(object, "id", record->number);
	add_list(object, "counters", record->counters, record->nr_counters);
	add_list(object, "exits", record->exits, record->nr_exits);
	return object;
}

static struct json_object *vm_object(const struct vm *vm)
{
	struct json_object *object = record_object(&vm->total);
	struct json_object *vcpus = json_object_new_array();

	add(object, "pid", vm->pid);
	json_object_object_add(object, "comm", json_object_new_string(vm->comm));
	json_object_object_add(object, "vmx", json_object_new_string(vm->vmx));
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		json_object_array_add(vcpus, record_object(&vm->vcpus[i]));
	json_object_object_add(object, "vcpus", vcpus);
	return object;
}

void show_json(const struct vms *vms)
{
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();

	for (unsigned i = 0; i < vms->nr; i++)
		json_object_array_add(list, vm_object(&vms->vm[i]));
	json_object_object_add(root, "vms", list);
	puts(json_object_to_json_string_ext(root,
					    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(root);
}
