/* A PKCS#11 module for tests: SoftHSM2 with a hand on its plug.
 *
 * SoftHSM2 keeps a token in memory once it is open, so taking its files away does not show what happens
 * when a card is pulled. This module passes every call on to SoftHSM2, but looks into the folder $UNPLUG:
 *   away     exists: no token is in any reader, and sessions that were open are gone for good;
 *   silent   exists: calls do not come back until it is gone;
 *   logins   one line is added for each login: the value that the token returned.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef unsigned long rv;
typedef rv (*call)(unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, unsigned long);

/* CK_FUNCTION_LIST of PKCS#11 2.40: a version and 68 functions in the order of the specification. */
struct list { unsigned char version[2]; call function[68]; };

enum { FUNCTION_LIST = 3, SLOT_LIST = 4, TOKEN_INFO = 6, OPEN = 12, CLOSE = 13, CLOSE_ALL = 14, SESSION_INFO = 15, LOGIN = 18,
       LOGOUT = 19, ATTRIBUTES = 24, FIND_INIT = 26, FIND = 27, FIND_END = 28, DECRYPT_INIT = 33, DECRYPT = 34, SIGN_INIT = 42, SIGN = 43, DERIVE = 62 };
enum { OK = 0, DEVICE_REMOVED = 0x32, TOKEN_NOT_PRESENT = 0xe0 };

static struct list *real, ours;
static int seen_away;
/* SoftHSM2 crashes when sessions are closed under calls that use them; a real token is just gone. */
static pthread_rwlock_t plug = PTHREAD_RWLOCK_INITIALIZER;

static int there(const char *name) {
  char path[4096];
  const char *folder = getenv("UNPLUG");
  if (!folder) return 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return access(path, F_OK) == 0;
}

static int away(void) {
  while (there("silent")) usleep(2000);
  if (!there("away")) { seen_away = 0; return 0; }
  if (!__sync_lock_test_and_set(&seen_away, 1)) {
    unsigned long slots[64], count = 64;
    pthread_rwlock_wrlock(&plug);
    if (real->function[SLOT_LIST](1, (unsigned long)slots, (unsigned long)&count, 0, 0, 0) == OK)
      for (unsigned long i = 0; i < count; i++) real->function[CLOSE_ALL](slots[i], 0, 0, 0, 0, 0);
    pthread_rwlock_unlock(&plug);
  }
  return 1;
}

static rv through(int index, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e, unsigned long f) {
  pthread_rwlock_rdlock(&plug);
  rv result = real->function[index](a, b, c, d, e, f);
  pthread_rwlock_unlock(&plug);
  return result;
}

#define PASS(name, index) \
  static rv name(unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e, unsigned long f) { \
    return away() ? DEVICE_REMOVED : through(index, a, b, c, d, e, f); }
PASS(open_session, OPEN)
PASS(session_info, SESSION_INFO)
PASS(attributes, ATTRIBUTES)
PASS(find_init, FIND_INIT)
PASS(find, FIND)
PASS(find_end, FIND_END)
PASS(decrypt_init, DECRYPT_INIT)
PASS(decrypt, DECRYPT)
PASS(sign_init, SIGN_INIT)
PASS(sign, SIGN)
PASS(derive, DERIVE)
PASS(close_session, CLOSE)
PASS(log_out, LOGOUT)

static rv token_info(unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e, unsigned long f) {
  return away() ? TOKEN_NOT_PRESENT : through(TOKEN_INFO, a, b, c, d, e, f);
}

static rv slot_list(unsigned long present, unsigned long list, unsigned long count, unsigned long d, unsigned long e, unsigned long f) {
  if (present && away()) { *(unsigned long *)count = 0; return OK; }
  return through(SLOT_LIST, present, list, count, d, e, f);
}

static rv login(unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e, unsigned long f) {
  char path[4096];
  rv result = away() ? DEVICE_REMOVED : through(LOGIN, a, b, c, d, e, f);
  const char *folder = getenv("UNPLUG");
  if (folder) {
    snprintf(path, sizeof path, "%s/logins", folder);
    FILE *file = fopen(path, "a");
    if (file) { fprintf(file, "%#lx\n", result); fclose(file); }
  }
  return result;
}

rv C_GetFunctionList(struct list **out);

static rv function_list(unsigned long out, unsigned long b, unsigned long c, unsigned long d, unsigned long e, unsigned long f) {
  (void)b; (void)c; (void)d; (void)e; (void)f;
  return C_GetFunctionList((struct list **)out);
}

rv C_GetFunctionList(struct list **out) {
  if (!real) {
    void *library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
    rv (*get)(struct list **) = library ? (rv (*)(struct list **))dlsym(library, "C_GetFunctionList") : 0;
    if (!get || get(&real) != OK) return 5;
    ours = *real;
    ours.function[FUNCTION_LIST] = function_list;
    ours.function[SLOT_LIST] = slot_list;
    ours.function[TOKEN_INFO] = token_info;
    ours.function[OPEN] = open_session;
    ours.function[SESSION_INFO] = session_info;
    ours.function[LOGIN] = login;
    ours.function[CLOSE] = close_session;
    ours.function[LOGOUT] = log_out;
    ours.function[ATTRIBUTES] = attributes;
    ours.function[FIND] = find;
    ours.function[FIND_END] = find_end;
    ours.function[FIND_INIT] = find_init;
    ours.function[DECRYPT_INIT] = decrypt_init;
    ours.function[DECRYPT] = decrypt;
    ours.function[SIGN_INIT] = sign_init;
    ours.function[SIGN] = sign;
    ours.function[DERIVE] = derive;
  }
  *out = &ours;
  return OK;
}
