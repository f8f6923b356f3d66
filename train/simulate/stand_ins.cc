// The few functions of CANN that must do more than return 0 for MindSpore's Ascend backend to compile in a dry run.
// Compiled by stand_ins.py with the string type of before C++11, which CANN's libraries use.
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

extern "C" const char* aclrtGetSocName() {
  const char* chosen = std::getenv("FAIRMOT_SIMULATED_SOC");
  return chosen ? chosen : "Ascend910B2";
}

extern "C" int aclrtGetDeviceCount(unsigned* count) {
  *count = 16;  // a host with A3; smaller ones have numbers below
  return 0;
}

// Fusion (jit_level O1) reads the version as a number.
extern "C" int aclsysGetCANNVersion(int, void* result) {
  struct Version {
    char version[128], major[64], minor[64], release[64], patch[64], reserved[128];
  };
  auto* out = static_cast<Version*>(result);
  std::memset(out, 0, sizeof(Version));
  std::strcpy(out->version, "8.5.0");
  std::strcpy(out->major, "8");
  std::strcpy(out->minor, "5");
  std::strcpy(out->release, "0");
  std::strcpy(out->patch, "0");
  return 0;
}

// The backend makes operators by name and copies and destroys them: real objects, with nothing in them.
namespace ge {
class AscendString;
class OperatorImpl {};

class Operator {
 public:
  Operator() = default;
  explicit Operator(const char* type);
  explicit Operator(const std::string& type);
  Operator(const char* name, const char* type);
  Operator(const std::string& name, const std::string& type);
  Operator(const AscendString& name, const AscendString& type);
  virtual ~Operator() = default;

 private:
  std::shared_ptr<OperatorImpl> impl_ = std::make_shared<OperatorImpl>();
};

Operator::Operator(const char*) {}
Operator::Operator(const std::string&) {}
Operator::Operator(const char*, const char*) {}
Operator::Operator(const std::string&, const std::string&) {}
Operator::Operator(const AscendString&, const AscendString&) {}

class OperatorFactory {
 public:
  static Operator CreateOperator(const char* name, const char* type);
  static Operator CreateOperator(const std::string& name, const std::string& type);
  static bool IsExistOp(const char* type);
  static bool IsExistOp(const std::string& type);
};

Operator OperatorFactory::CreateOperator(const char* name, const char* type) { return Operator(name, type); }
Operator OperatorFactory::CreateOperator(const std::string& name, const std::string& type) {
  return Operator(name, type);
}
bool OperatorFactory::IsExistOp(const char*) { return true; }
bool OperatorFactory::IsExistOp(const std::string&) { return true; }

// Code inlined into the backend fills this object's table of error texts while it is loaded.
class StatusFactory {
 public:
  static StatusFactory* Instance();

 private:
  std::map<unsigned, std::string> texts_;
};

StatusFactory* StatusFactory::Instance() {
  static StatusFactory only;
  return &only;
}
}  // namespace ge
