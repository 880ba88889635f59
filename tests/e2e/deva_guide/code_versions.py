# 更新数据获取代码
new_code = '''
import pandas as pd

def fetch_data():
    return pd.DataFrame({
        'timestamp': [pd.Timestamp.now()],
        'value': [100],
        'status': ['updated']
    })
'''

result = source.update_data_func_code(new_code)
print(f"代码更新结果: {result}")

# 获取代码版本历史
versions = source.get_code_versions(5)
for version in versions:
    print(f"版本时间: {version['timestamp']}")
